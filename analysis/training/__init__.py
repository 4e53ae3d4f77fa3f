"""Training: weighted-BCE pretraining, then the Punzi-loss."""
