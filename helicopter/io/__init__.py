"""Files in and out: images and masks, read with care and written whole or not at all."""

from __future__ import annotations

from ._atomic import atomic_open
from ._reading import (
    DEFAULT_MAX_PIXELS,
    LoadedImage,
    read_image,
    read_mask,
    sample_image,
    sample_path,
)
from ._together import together
from ._writing import check_writable, write_image

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "LoadedImage",
    "atomic_open",
    "check_writable",
    "read_image",
    "read_mask",
    "sample_image",
    "sample_path",
    "together",
    "write_image",
]
