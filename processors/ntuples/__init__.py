"""Ntuples: what files there are, what is in them, and how much of it is processed."""
