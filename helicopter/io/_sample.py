"""The photograph that comes with the package; `helicopter/data/README.md` names its source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ._reading import read_image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["sample_image", "sample_path"]


def sample_path() -> Path:
    """Return the path of the sample photograph (CC0, an espresso cup on a wooden table)."""
    return Path(__file__).resolve().parent.parent / "data" / "coffee.png"


def sample_image() -> NDArray[np.uint8]:
    """Return the sample photograph: uint8 RGB of shape (400, 600, 3)."""
    return read_image(sample_path()).pixels
