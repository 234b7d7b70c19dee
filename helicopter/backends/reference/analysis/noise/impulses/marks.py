"""Which pixels are hits, given how many there are, and what takes their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .counts import MARGINS, OFFSETS, SAMPLE, STRIP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Mask

    from .counts import Plane

__all__ = [
    "CHUNK",
    "extreme_mask",
    "random_mask",
    "repair",
]

CHUNK = 1 << 20
#: Thresholds of the mask, in units of the spread of the four neighbours in the middle and of the
#: fine noise together; at least a share of the image's range.
SPREADS = (0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
MASK_FLOOR = np.float32(0.04)
#: From this density on, hits are looked for again among neighbours that are none.
CROWDED = 0.05
#: From so many pixels on, a sample of the rows is enough to choose the threshold of the mask.
ENOUGH = 1 << 18
#: At least this share of the pixels in the mask has to be hits.
PRECISION = 0.85


def extreme_mask(plane: Plane, included: Mask, density: float, scale: float) -> Mask:
    """Black and white pixels that are not in black or white surroundings."""
    mask = np.zeros(included.shape, dtype=bool)
    most = _most_alike(density / 2)
    margin = np.float32(max(MARGINS[0], 3 * scale)) * plane.span
    for extreme, sign in ((plane.low, np.float32(1)), (plane.high, np.float32(-1))):
        places = np.argwhere((plane.values == extreme) & included)
        for first in range(0, len(places), CHUNK):
            y, x = places[first : first + CHUNK].T
            around, known = _around(plane.values, included, y, x)
            alike = (around == extreme) & known
            distance = np.where(known & ~alike, sign * (around - extreme), np.float32(np.inf))
            others = (known & ~alike).sum(axis=0)
            middle = np.sort(distance, axis=0)[np.maximum(others - 1, 0) // 2, np.arange(y.size)]
            hit = (others > 0) & (alike.sum(axis=0) <= most) & (middle > margin)
            mask[y[hit], x[hit]] = True
    return mask


def random_mask(plane: Plane, included: Mask, density: float, scale: float) -> Mask:
    """Pixels that stand out from the middle of their neighbours, by as much as most hits need."""
    mask = np.zeros(included.shape, dtype=bool)
    donors = included
    for _ in range(2 if density > CROWDED else 1):
        seen = np.zeros(len(SPREADS), dtype=np.int64)
        chance = np.zeros(len(SPREADS))
        every = 1 if mask.size < ENOUGH else SAMPLE
        for value, judged, below, above, _ in _strips(plane, included, donors, every):
            for k, (start, end) in enumerate(_bounds(plane, scale, below, above)):
                seen[k] += int((judged & ((value < start) | (value > end))).sum())
                room = np.maximum(start - plane.low, 0) + np.maximum(plane.high - end, 0)
                chance[k] += float(room.sum(where=judged, dtype=np.float64)) / float(plane.span)
        good = np.nonzero(density * chance >= PRECISION * seen)[0]
        if not good.size:
            return mask
        for value, judged, below, above, rows in _strips(plane, included, donors, 1):
            start, end = list(_bounds(plane, scale, below, above))[good[0]]
            mask[rows] = judged & ((value < start) | (value > end))
        donors = included & ~mask
    return mask


def _around(
    values: NDArray[np.float32], valid: Mask, y: NDArray[np.int64], x: NDArray[np.int64]
) -> tuple[NDArray[np.float32], Mask]:
    """Values of the eight neighbours of some pixels, and which of them are known; each (8, n)."""
    height, width = values.shape
    rows, columns = y + OFFSETS[:, :1], x + OFFSETS[:, 1:]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    rows, columns = np.where(inside, rows, y), np.where(inside, columns, x)
    return values[rows, columns], inside & valid[rows, columns]


def _most_alike(rate: float) -> int:
    """How many of eight neighbours are black (white) by chance, but for once in a thousand."""
    below = term = (1 - rate) ** 8
    count = 0
    while below < 0.999 and count < 7:
        term *= (8 - count) / (count + 1) * rate / (1 - rate)
        count += 1
        below += term
    return count


def _strips(
    plane: Plane, included: Mask, donors: Mask, every: int
) -> Iterator[
    tuple[NDArray[np.float32], Mask, NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]
]:
    height = included.shape[0]
    for first in range(0, height, STRIP * every):
        rows = np.arange(first, min(first + STRIP * every, height), every)
        value, enough, below, above = _middle(plane.values, donors, rows)
        yield value, enough & included[rows], below, above, rows


def _bounds(
    plane: Plane, scale: float, below: NDArray[np.float32], above: NDArray[np.float32]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    spread = (above - below) + np.float32(scale) * plane.span
    for factor in SPREADS:
        reach = np.maximum(MASK_FLOOR * plane.span, np.float32(factor) * spread)
        yield below - reach, above + reach


def _middle(
    values: NDArray[np.float32], valid: Mask, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], Mask, NDArray[np.float32], NDArray[np.float32]]:
    """The third lowest and third highest of eight neighbours; which pixels have enough of them.

    Where neighbours are missing, those that are there are counted again, in turn, up to eight.
    """
    width = values.shape[1]
    y, x = np.repeat(rows, width), np.tile(np.arange(width), rows.size)
    around, known = _around(values, valid, y, x)
    count = known.sum(axis=0)
    some = np.nonzero(count < 8)[0]
    if some.size:
        order = np.argsort(~known[:, some], axis=0, kind="stable")
        turn = np.arange(8)[:, None] % np.maximum(count[some], 1)
        there = np.take_along_axis(around[:, some], order, axis=0)
        around[:, some] = np.take_along_axis(there, turn, axis=0)
    around.sort(axis=0)
    shape = (rows.size, width)
    judged = (count >= 3).reshape(shape)
    return values[rows], judged, around[2].reshape(shape), around[5].reshape(shape)


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
