"""Files: where results lie, how they are written and read, and where they come from."""
