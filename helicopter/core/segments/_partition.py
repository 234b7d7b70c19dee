"""Segmentation: the best partition of an image into so many connected pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._shared.checks import check_choice, check_integer
from helicopter.backends.protocol import SegmentationOptions
from helicopter.core.validation import prepare_values, require_visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from helicopter._shared.arrays import Labels, Mask
    from helicopter.backends.protocol import Backend

__all__ = ["PRESETS", "nearest_visible", "segment", "segment_values"]

#: Rows or columns looked at together, which bounds the memory.
BAND = 256

#: What each preset asks of a backend, but for the number of segments.
PRESETS: dict[str, Callable[[int], SegmentationOptions]] = {
    "quality": lambda count: SegmentationOptions(count, 150, 0.003, 0.0, 0.0, (1, 3)),
    "fast": lambda count: SegmentationOptions(count, 38, 0.003, 0.0, 0.0, (0, 1)),
    "compact": lambda count: SegmentationOptions(count, 8, 1.0, 0.1, 0.2, (2, 4)),
}


def segment(
    backend: Backend,
    image: object,
    n_segments: object,
    preset: str,
    mask: object,
    data_range: tuple[float, float] | None,
) -> Labels:
    """Check what was given and divide the image; see `helicopter.segment`."""
    values, hidden = prepare_values(image, hidden=mask, data_range=data_range, finite=True)
    count = check_integer(n_segments, "n_segments", 1, hidden.size)
    check_choice(preset, "preset", PRESETS)
    require_visible(hidden, since="segments are made of what is visible")
    return segment_values(backend, values, hidden, count, preset)


def segment_values(
    backend: Backend, values: NDArray[Any], hidden: Mask, count: int, preset: str = "quality"
) -> Labels:
    """Divide a checked image, see `prepare_values`."""
    if hidden.any():
        values = values[nearest_visible(hidden)]
    return backend.segment(np.ascontiguousarray(values), PRESETS[preset](count))


def nearest_visible(hidden: Mask) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return for every pixel the row and column of a visible one, the fewest steps away.

    Along the rows first, then along the columns over what the rows have found, which is exact for
    steps to the sides (Rosenfeld & Pfaltz, "Sequential operations in digital picture processing",
    J. ACM 13, 1966). SciPy's transform would do, but takes longer to import than most images take.
    """
    height, width = hidden.shape
    far = height + width
    row, column = (np.empty(hidden.shape, dtype=np.int32) for _ in range(2))
    steps = np.empty(hidden.shape, dtype=np.int32)
    for top in range(0, height, BAND):
        rows = slice(top, top + BAND)
        steps[rows], column[rows] = _nearest(np.where(hidden[rows], far, 0), 1)
    for left in range(0, width, BAND):
        columns = slice(left, left + BAND)
        _, row[:, columns] = _nearest(steps[:, columns].astype(np.int64), 0)
    return row, np.take_along_axis(column, row, axis=0)


def _nearest(steps: NDArray[np.int64], axis: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Least of `steps` plus the distance along an axis, and where on it that is."""
    length = steps.shape[axis]
    place = np.expand_dims(np.arange(length), 1 - axis)
    # one number for both, so that the place goes along with the least
    before = np.minimum.accumulate((steps - place + length) << 32 | place, axis=axis)
    after = (steps + place) << 32 | place
    after = np.flip(np.minimum.accumulate(np.flip(after, axis), axis=axis), axis)
    first, second = (before >> 32) - length + place, (after >> 32) - place
    nearer = first <= second
    at = np.where(nearer, before, after) & 0xFFFFFFFF
    return np.where(nearer, first, second), at
