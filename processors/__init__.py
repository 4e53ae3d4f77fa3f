"""The coffea layer: read columns, call `analysis`, fill or write, and count."""
