"""Figures, each a function from typed inputs to a matplotlib figure."""
