"""Expected upper limits: yields behind the selection, their statistical model, the result."""
