"""The default data against published numbers and against Pythia 8."""
