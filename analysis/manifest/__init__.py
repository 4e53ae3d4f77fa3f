"""The data manifest: what is analysed, with which settings."""
