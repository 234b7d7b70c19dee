"""The NumPy reference backend: the law that the Rust backend obeys, written to be read."""
