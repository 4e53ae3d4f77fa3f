"""What the Punzi-net is compared with: boosted trees, rectangular cuts, another loss."""
