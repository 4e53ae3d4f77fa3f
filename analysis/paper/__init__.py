"""The paper's claims from ensembles of networks, and other methods on the same events."""
