"""Segmentation: the best partition of an image into so many connected pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._shared.checks import check_choice, check_integer
from helicopter.backends._engine import Engine
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
    image: object,
    n_segments: int = 250,
    *,
    preset: str = "quality",
    mask: object = None,
    data_range: tuple[float, float] | None = None,
    device: str = "auto",
    use_rust_acceleration: bool | None = None,
) -> Labels:
    """Divide an image into connected segments that follow its content.

    Fine groups of pixels are merged by Ward's criterion on the region adjacency graph: whichever
    merge adds least to the spread of colours within segments comes next. Then border pixels go over
    to the segment that they fit better. Large images are divided at a fraction of their size and
    their borders put right at each size up to the full one.

    The result is exactly the same for both backends, any number of threads, and images that hold
    the same intensities as uint8 or as floats.

    Parameters
    ----------
    image : array_like of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)
        uint8, uint16, bool, float32 or float64; floats in [0, 1] unless `data_range` says
        otherwise. Fully transparent pixels (alpha 0) count as hidden, unless all are.
    n_segments : int, default 250
        How many segments there shall be: 1 to H * W. There will be exactly so many.
    preset : str, default "quality"
        ``"quality"``: as little spread within segments as can be had, borders where the edges are;
        ``"fast"``: the same in about a third of the time, with borders on a grid of two pixels or
        more; ``"compact"``: segments of similar size and round shape.
    mask : bool array_like of shape (H, W), optional
        True = hidden: pixels whose values may be anything, NaN included. They get labels all the
        same: for each the colour of the nearest visible pixel is taken.
    data_range : tuple of float, optional
        The values of black and white.
    device : str, default "auto"
    use_rust_acceleration : bool, optional

    Returns
    -------
    int32 ndarray of shape (H, W)
        Labels from 0 to n_segments - 1, in the order of their first pixels row by row. The pixels
        of a label hang together by their sides.

    Raises
    ------
    InvalidImageError, InvalidMaskError, InvalidOptionError, DeviceError, RustAccelerationError

    References
    ----------
    J. H. Ward, "Hierarchical grouping to optimize an objective function", Journal of the American
    Statistical Association 58, 1963. X. Wei et al., "Superpixel hierarchy", IEEE Transactions on
    Image Processing 27, 2018 (the first merges). J. A. Hartigan, "Clustering algorithms", 1975
    (the exchange of single pixels).

    Examples
    --------
    >>> import numpy as np
    >>> import helicopter
    >>> image = np.zeros((40, 60), dtype=np.uint8)
    >>> image[10:30, 20:50] = 200
    >>> helicopter.segment(image, 2)[[0, 20], [0, 30]].tolist()
    [0, 1]
    """
    backend = Engine(device, use_rust_acceleration)._backend
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
