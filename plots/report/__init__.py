"""The report: one HTML page that shows everything a run has found, without a network."""
