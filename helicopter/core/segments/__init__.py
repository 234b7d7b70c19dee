"""Segments: the partition of an image, and the types of its parts."""
