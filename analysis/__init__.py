"""Physics, statistics and learning: everything that is true without coffea or matplotlib."""
