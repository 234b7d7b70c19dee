"""What predicts hidden pixels from visible ones."""
