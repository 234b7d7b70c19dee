"""Borders put right pixel by pixel: one goes over to a segment it fits better.

An exchange is worth it if it lowers the spread within segments (Hartigan, "Clustering algorithms",
1975, section 4.2), and allowed if no segment falls apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .features import Features

__all__ = ["refine"]

#: Rows and columns of the eight neighbours, from the one above clockwise.
RING = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
#: Beyond the image.
OUTSIDE = -1


def _may_leave() -> NDArray[np.bool_]:
    """By the neighbours that belong to a pixel's segment: whether it hangs together without it."""
    table = np.zeros(256, dtype=bool)
    for bits in range(256):
        own = [bits >> i & 1 == 1 for i in range(8)]
        # pieces of the ring that touch the pixel: each begins after a gap
        pieces = sum(own[i] and not (own[i - 1] and own[i - 2]) for i in range(0, 8, 2))
        table[bits] = pieces == 1 or (pieces == 0 and all(own[::2]))
    return table


MAY_LEAVE = _may_leave()


def refine(
    features: Features,
    labels: NDArray[np.int64],
    count: int,
    passes: int,
    spatial: float,
    border: float,
) -> NDArray[np.int64]:
    """Let border pixels change sides, at most `passes` times over the image.

    Pixels are looked at in four turns (even and odd rows and columns), so that none of the eight
    neighbours of a pixel moves in its turn: each decides by the state before the turn, and the
    result is the same in any order.

    Parameters
    ----------
    features : int32 ndarray of shape (H, W, 3)
    labels : int64 ndarray of shape (H, W)
        From 0 to count - 1.
    count, passes : int
    spatial : float
        Weight of the squared distance from a segment's mean place.
    border : float
        Weight of each neighbour in the same segment; of diagonal ones half as much.
    """
    if passes == 0:
        return labels
    height, width = labels.shape
    around = np.full((height + 2, width + 2), OUTSIDE, dtype=np.int64)
    inside = around[1:-1, 1:-1]
    inside[:] = labels
    y, x = np.mgrid[:height, :width]
    values = np.stack([*np.moveaxis(features, 2, 0), y, x], axis=2).astype(np.float64)
    for _ in range(passes):
        moved = False
        for turn in range(4):
            rows, cols = np.nonzero(_on_border(around, turn))
            rows, cols = 2 * rows + turn // 2, 2 * cols + turn % 2
            target = _fits_best(around, values, (rows, cols), count, spatial, border)
            moved |= bool((inside[rows, cols] != target).any())
            inside[rows, cols] = target
        if not moved:
            break
    return inside.copy()


def _on_border(around: NDArray[np.int64], turn: int) -> NDArray[np.bool_]:
    """Return which of the pixels whose turn it is have a neighbour in another segment."""
    height, width = around.shape[0] - 2, around.shape[1] - 2
    own = around[1:-1, 1:-1][turn // 2 :: 2, turn % 2 :: 2]
    border = np.zeros(own.shape, dtype=bool)
    for dy, dx in RING[::2]:
        other = around[1 + dy : height + 1 + dy, 1 + dx : width + 1 + dx]
        other = other[turn // 2 :: 2, turn % 2 :: 2]
        border |= (other != own) & (other != OUTSIDE)
    return border


def _fits_best(
    around: NDArray[np.int64],
    values: NDArray[np.float64],
    at: tuple[NDArray[np.int64], NDArray[np.int64]],
    count: int,
    spatial: float,
    border: float,
) -> NDArray[np.int64]:
    """Return the segments that border pixels belong to: their own, or a better one beside them."""
    rows, cols = at
    labels = around[1:-1, 1:-1].ravel()
    size = np.bincount(labels, minlength=count).astype(np.float64)
    flat = values.reshape(-1, 5)
    sums = [np.bincount(labels, flat[:, k], minlength=count) for k in range(5)]
    mean = np.stack(sums, axis=1) / size[:, None]
    ring = np.stack([around[1 + rows + dy, 1 + cols + dx] for dy, dx in RING], axis=1)
    own = around[1 + rows, 1 + cols]

    def cost(label: NDArray[np.int64], factor: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b, c, y, x = (values[rows, cols] - mean[label]).T
        squared = (a * a + b * b + c * c) + spatial * (y * y + x * x)
        same = ring == label[:, None]
        held = same[:, ::2].sum(axis=1) + 0.5 * same[:, 1::2].sum(axis=1)
        return np.asarray(factor * squared - border * held)

    with np.errstate(divide="ignore", invalid="ignore"):  # single pixels, which never leave
        leaving = size / (size - 1.0)
        best = cost(own, leaving[own])
    joining = size / (size + 1.0)
    target = own.copy()
    allowed = MAY_LEAVE[((ring == own[:, None]) << np.arange(8)).sum(axis=1)]
    for side in range(0, 8, 2):
        other = ring[:, side]
        there = allowed & (other != own) & (other != OUTSIDE)
        costs = np.full(best.shape, np.inf)
        label = np.where(there, other, 0)
        costs[there] = cost(label, joining[label])[there]
        better = (costs < best) | ((costs == best) & (target != own) & (other < target))
        better &= there
        best[better] = costs[better]
        target[better] = other[better]
    return target
