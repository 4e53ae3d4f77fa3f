"""The figures of the paper's reproduction."""
