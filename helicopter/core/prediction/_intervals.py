"""Central predictive intervals of what was predicted, in the image's own units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._shared.checks import check_fraction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Map
    from helicopter.core.validation import PreparedImage

    from ._error_law import ErrorLaw

__all__ = ["central_interval", "remainder_of"]

#: Parts into which half a grey level is divided where a remainder is kept.
PARTS = 127
#: Rows worked on at a time; bounds the memory for large images.
STRIP = 512


def remainder_of(
    prepared: PreparedImage, prediction: Image, restored: NDArray[Any]
) -> NDArray[np.int8] | None:
    """What was lost when predictions became whole grey levels; None where nothing was.

    An interval of a fraction of a level around a rounded centre would lie beside the truth.
    """
    if restored.dtype.kind not in "bu":
        return None
    remainder = np.empty(prediction.shape, dtype=np.int8)
    whole = _colour(restored, prediction.shape[2])
    for top in range(0, whole.shape[0], STRIP):
        rows = slice(top, top + STRIP)
        lost = prediction[rows] * np.float32(prepared.units)
        lost += np.float32(prepared.low)
        lost -= whole[rows]
        remainder[rows] = np.clip(np.rint(lost * (2 * PARTS)), -PARTS, PARTS)
    return remainder


def central_interval(
    restored: NDArray[Any],
    remainder: NDArray[np.int8] | None,
    uncertainty: Map,
    data_range: tuple[float, float],
    law: ErrorLaw,
    level: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the ends of the interval of `level` around every value of an image.

    Parameters
    ----------
    restored : ndarray
        The reconstruction, of any accepted shape and dtype.
    remainder : int8 ndarray of shape (H, W, C), optional
        See `remainder_of`.
    uncertainty : float32 ndarray of shape (H, W)
        Standard deviation in the image's own units; where it is 0 both ends are the value.
    data_range : tuple of float
        The interval is cut to it.
    law : ErrorLaw
    level : float
        Between 0 and 1.

    Returns
    -------
    low, high : float32 ndarray
        Of the image's shape. Alpha is certain.
    """
    level = check_fraction(level, "level", ends=False)
    low, high = restored.astype(np.float32), restored.astype(np.float32)
    channels = 1 if restored.ndim == 2 else min(restored.shape[2], 3)
    black, white = np.float32(data_range[0]), np.float32(data_range[1])
    units = np.float32(data_range[1] - data_range[0])
    for top in range(0, uncertainty.shape[0], STRIP):
        rows = slice(top, top + STRIP)
        unsure = uncertainty[rows] > 0
        reach = law.reach(uncertainty[rows][unsure] / units, level)[:, None] * units
        for end, side in ((low, -1), (high, 1)):
            colour = _colour(end, channels)[rows]
            values = colour[unsure]
            if remainder is not None:
                values += remainder[rows][unsure] / np.float32(2 * PARTS)
            values += side * reach
            colour[unsure] = np.clip(values, black, white)
    return low, high


def _colour(image: NDArray[Any], channels: int) -> NDArray[Any]:
    return (image[:, :, None] if image.ndim == 2 else image)[:, :, :channels]
