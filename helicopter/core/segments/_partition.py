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

__all__ = ["PRESETS", "segment", "segment_values"]

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
    values, hidden = prepare_values(image, hidden=mask, data_range=data_range)
    count = check_integer(n_segments, "n_segments", 1, hidden.size)
    check_choice(preset, "preset", PRESETS)
    require_visible(hidden, since="segments are made of what is visible")
    return segment_values(backend, values, hidden, count, preset)


def segment_values(
    backend: Backend, values: NDArray[Any], hidden: Mask, count: int, preset: str = "quality"
) -> Labels:
    """Divide a checked image, see `prepare_values`."""
    if hidden.any():
        from scipy import ndimage  # the Rust backend needs no SciPy

        nearest = ndimage.distance_transform_edt(
            hidden, return_distances=False, return_indices=True
        )
        values = values[tuple(np.asarray(nearest))]
    return backend.segment(np.ascontiguousarray(values), PRESETS[preset](count))
