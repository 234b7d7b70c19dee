"""Random masks to train on: blocks, pixels, holes, scribbles, free shapes, lines, lost borders."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["LEARNABLE", "WIDE", "random_mask"]


def random_mask(
    rng: np.random.Generator, side: int, families: dict[str, float]
) -> NDArray[np.bool_]:
    """Hide part of a square of `side` pixels; True = hidden.

    `families` gives the weight of each family of masks. Between 1 % and 97 % is hidden.
    """
    names = list(families)
    weights = np.array([families[name] for name in names])
    while True:
        name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        mask = _FAMILIES[name](rng, side)
        if 0.01 <= mask.mean() <= 0.97:
            return mask


def _cells(rng: np.random.Generator, side: int, cell: int, share: float) -> NDArray[np.bool_]:
    """Hide a share of the square cells of a lattice that begins anywhere."""
    count = side // cell + 2
    hidden = rng.random((count, count)) < share
    mask = hidden.repeat(cell, axis=0).repeat(cell, axis=1)
    y, x = rng.integers(0, cell, 2)
    return mask[y : y + side, x : x + side]


def _blocks(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    cell = 16 if rng.random() < 0.4 else round(math.exp(rng.uniform(math.log(4), math.log(24))))
    return _cells(rng, side, cell, rng.uniform(0.1, 0.45))


def _patches(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    cell = 32 if rng.random() < 0.5 else int(rng.integers(20, 49))
    return _cells(rng, side, cell, rng.uniform(0.1, 0.4))


def _few_patches_left(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    cell = 32 if rng.random() < 0.5 else round(math.exp(rng.uniform(math.log(8), math.log(48))))
    return _cells(rng, side, cell, rng.uniform(0.6, 0.92))


def _pixels(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    share = (0.5, 0.8, rng.uniform(0.05, 0.96))[int(rng.integers(3))]
    return _cells(rng, side, 1 if rng.random() < 0.9 else int(rng.integers(2, 4)), share)


def _holes(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[:side, :side]
    mask = np.zeros((side, side), dtype=bool)
    largest = rng.uniform(0.1, 0.75) * side
    for _ in range(int(rng.integers(1, 4))):
        height, width = np.maximum(largest * rng.uniform(0.5, 1.0, 2), 4) / 2
        cy, cx = rng.uniform(0.1, 0.9, 2) * side
        if rng.random() < 0.7:
            mask |= (np.abs(y - cy) < height) & (np.abs(x - cx) < width)
        else:
            mask |= np.square((y - cy) / height) + np.square((x - cx) / width) < 1
    return mask


def _scribbles(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    canvas = Image.new("L", (side, side))
    draw = ImageDraw.Draw(canvas)
    share = rng.uniform(0.03, 0.25)
    while np.count_nonzero(np.asarray(canvas)) < share * side * side:
        x, y, angle = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(0, 2 * math.pi)
        points = [(x, y)]
        for _ in range(int(rng.integers(2, 12))):
            angle += rng.normal(0, 0.6)
            step = rng.uniform(6, 45)
            x, y = x + step * math.cos(angle), y + step * math.sin(angle)
            points.append((x, y))
        draw.line(points, fill=1, width=int(rng.integers(2, 11)), joint="curve")
    return np.asarray(canvas) > 0


def _free_shapes(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    """Hide where smoothed noise is low."""
    scale = math.exp(rng.uniform(math.log(1.0), math.log(side / 10)))
    field = ndimage.gaussian_filter(rng.standard_normal((side, side)), scale, mode="wrap")
    return np.asarray(field < np.quantile(field, rng.uniform(0.05, 0.6)))


def _lines(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    """Hide rows or columns: regularly, as in interlaced images, or anywhere."""
    if rng.random() < 0.5:
        period = int(rng.integers(2, 24))
        hidden = (np.arange(side) + rng.integers(period)) % period < rng.integers(1, period)
    else:
        hidden = np.zeros(side, dtype=bool)
        for start in rng.integers(0, side, int(rng.integers(1, 12))):
            hidden[start : start + int(rng.integers(1, 8))] = True
    mask = np.broadcast_to(hidden, (side, side))
    return mask.T if rng.random() < 0.5 else mask


def _borders(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    """Hide strips along the borders: what lies outside the picture."""
    mask = np.zeros((side, side), dtype=bool)
    for turn in range(4):
        if rng.random() < 0.5:
            mask[: int(rng.uniform(0.03, 0.4) * side)] = True
        mask = np.rot90(mask, turn)
    return mask


_FAMILIES: dict[str, Callable[[np.random.Generator, int], NDArray[np.bool_]]] = {
    "blocks": _blocks,
    "patches": _patches,
    "few_patches_left": _few_patches_left,
    "pixels": _pixels,
    "holes": _holes,
    "scribbles": _scribbles,
    "free_shapes": _free_shapes,
    "lines": _lines,
    "borders": _borders,
}

#: Weights of the families to begin with: where there is most to be learnt.
LEARNABLE: dict[str, float] = {"blocks": 6, "patches": 1, "pixels": 1, "scribbles": 1.5}
#: Weights of all families.
WIDE: dict[str, float] = {
    "blocks": 4,
    "patches": 3,
    "few_patches_left": 2,
    "pixels": 6,
    "holes": 3,
    "scribbles": 3,
    "free_shapes": 1.5,
    "lines": 1,
    "borders": 0.5,
}
