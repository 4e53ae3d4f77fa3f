"""One module a figure, each a function from typed inputs to a matplotlib figure."""
