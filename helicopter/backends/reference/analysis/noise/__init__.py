"""Noise of an image, from the image alone."""
