"""Hits replaced by values of their neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .marks import CHUNK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Mask


__all__ = ["repair"]

DONORS = np.array([(y, x) for y in range(-2, 3) for x in range(-2, 3) if y or x])


def repair(pixels: Image, mask: Mask, included: Mask | None = None) -> Image:
    """Replace the pixels in `mask` by one of their neighbours each, picked as if by lot.

    A mean of neighbours would be less noisy than they are, and always the nearest would vary along
    with it: both would make noise look smaller. Donors all around leave the spectrum nearly as it
    was. A pixel without a donor within reach stays as it is.
    """
    height, width = mask.shape
    out = pixels.copy()
    donor = ~mask if included is None else ~mask & included
    places = np.argwhere(mask)
    for first in range(0, len(places), CHUNK):
        y, x = places[first : first + CHUNK].T
        start = _lot(y, x)
        for turn in range(len(DONORS)):
            dy, dx = DONORS[(start + turn) % len(DONORS)].T
            rows, columns = y + dy, x + dx
            inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            good = inside & donor[np.where(inside, rows, 0), np.where(inside, columns, 0)]
            out[y[good], x[good]] = pixels[rows[good], columns[good]]
            y, x, start = y[~good], x[~good], start[~good]
    return out


def _lot(y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number from 0 to the number of donors for every place, without a pattern."""
    word = y.astype(np.uint32) * np.uint32(0x9E3779B1) ^ x.astype(np.uint32) * np.uint32(0x85EBCA77)
    word ^= word >> np.uint32(15)
    word *= np.uint32(0x2C1B3C6D)
    word ^= word >> np.uint32(12)
    return (word % np.uint32(len(DONORS))).astype(np.int64)
