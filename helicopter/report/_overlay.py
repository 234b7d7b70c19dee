"""Regions of an image as shapes that lie over a picture and say what they are when pointed at."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from helicopter.plotting import shrink_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Overlay", "Shape", "overlay"]

#: Shapes are drawn on a grid of at most so many cells a side: enough to point at, and small.
_LONGEST = 400


class Shape(NamedTuple):
    """One region: the outline in SVG's words, and what is said of it."""

    path: str
    text: str


class Overlay(NamedTuple):
    """Shapes, and the size of the grid that they are drawn on."""

    width: int
    height: int
    shapes: tuple[Shape, ...]


def overlay(labels: NDArray[np.int32], texts: Mapping[int, str]) -> Overlay:
    """Return a shape for each label that has a text; none for labels too small to be pointed at."""
    small = shrink_labels(labels, _LONGEST)
    height, width = small.shape
    # runs of one label within a row, each as a rectangle one cell high
    begins = np.ones((height, width), dtype=bool)
    begins[:, 1:] = small[:, 1:] != small[:, :-1]
    start = np.flatnonzero(begins)
    length = np.diff(np.append(start, small.size))
    rows, columns = np.divmod(start, width)
    paths: dict[int, list[str]] = {label: [] for label in texts}
    for label, x, y, run in zip(
        small.ravel()[start].tolist(),
        columns.tolist(),
        rows.tolist(),
        length.tolist(),
        strict=True,
    ):
        if label in paths:
            paths[label].append(f"M{x} {y}h{run}v1h-{run}z")
    shapes = (Shape("".join(paths[label]), text) for label, text in texts.items())
    return Overlay(width, height, tuple(shape for shape in shapes if shape.path))
