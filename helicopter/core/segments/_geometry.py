"""Where segments lie: their bounding boxes, areas, and how much of the image's border is theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Labels

__all__ = ["border_pixels", "extents"]

#: Rows looked at together, which bounds the memory.
STRIP = 128


def extents(labels: Labels, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the bounding boxes of the segments, of shape (count, 4), and their areas."""
    boxes = np.zeros((count, 4), dtype=np.int64)
    boxes[:, :2] = labels.size
    area = np.zeros(count, dtype=np.int64)
    for top in range(0, len(labels), STRIP):
        strip = labels[top : top + STRIP]
        area += np.bincount(strip.ravel(), minlength=count)
        # the ends of the runs of a label tell as much as all of its pixels, and are fewer
        ends = np.ones((len(strip), strip.shape[1] + 1), dtype=bool)
        np.not_equal(strip[:, 1:], strip[:, :-1], out=ends[:, 1:-1])
        for first, reach in ((True, np.minimum), (False, np.maximum)):
            y, x = np.nonzero(ends[:, :-1] if first else ends[:, 1:])
            of = strip[y, x]
            reach.at(boxes[:, 0 if first else 2], of, y + (top if first else top + 1))
            reach.at(boxes[:, 1 if first else 3], of, x + (0 if first else 1))
    return boxes, area


def border_pixels(labels: Labels, count: int) -> NDArray[np.int64]:
    """Return how many pixels of the image's border each segment has, of shape (count,)."""
    inner = labels[1:-1]
    sides = [labels[0], inner[:, 0]]
    if labels.shape[0] > 1:
        sides.append(labels[-1])
    if labels.shape[1] > 1:
        sides.append(inner[:, -1])
    return np.bincount(np.concatenate(sides), minlength=count)
