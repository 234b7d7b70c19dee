"""The version of `helicopter-vision`, and of the `helicopter-rs` that belongs to it."""

__version__ = "0.1.0"
