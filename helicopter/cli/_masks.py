"""Masks given as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helicopter.errors import InvalidMaskError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["check_fits"]


def check_fits(
    file: Path | None, hidden: NDArray[np.bool_] | None, image: Path, pixels: NDArray[np.generic]
) -> None:
    """Refuse a mask, if one was given, that is not of its image's size.

    Raises
    ------
    InvalidMaskError
    """
    if hidden is None or hidden.shape == pixels.shape[:2]:
        return
    sizes = [f"{array.shape[1]} x {array.shape[0]}" for array in (hidden, pixels)]
    raise InvalidMaskError(
        f"{str(file)!r}: the mask is {sizes[0]} pixels, but the image {str(image)!r} is "
        f"{sizes[1]}; save the mask at the size of the image"
    )
