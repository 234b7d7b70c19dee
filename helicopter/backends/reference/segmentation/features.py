"""What pixels are compared by: three small integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Features", "features_of", "half_of", "variance"]

#: int32 (H, W, 3): brightness and two colour differences; of grey images the last two are 0.
Features: TypeAlias = NDArray[np.int32]

#: Features of white are this much brighter than those of black.
WHITE = 8160


def features_of(pixels: NDArray[Any]) -> Features:
    """Return the features of an image, of shape (H, W, 1 or 3); floats in [0, 1]."""
    if pixels.dtype == np.uint8:
        scaled = pixels.astype(np.int32) * (WHITE // 255)
    elif pixels.dtype == np.uint16:
        scaled = ((pixels.astype(np.int64) * WHITE + 32767) // 65535).astype(np.int32)
    else:
        scaled = (pixels * np.float32(WHITE) + np.float32(0.5)).astype(np.int32)
    if scaled.shape[2] == 1:
        nothing = np.zeros_like(scaled)
        return np.concatenate([scaled, nothing, nothing], axis=2)
    red, green, blue = np.moveaxis(scaled, 2, 0)
    return np.stack([(red + 2 * green + blue) >> 2, blue - green, red - green], axis=2)


def half_of(features: Features) -> Features:
    """Return means of squares of 2 x 2; the last row or column counts twice if it has no other."""
    height, width = features.shape[:2]
    even = np.pad(features, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    total = even[::2, ::2] + even[::2, 1::2] + even[1::2, ::2] + even[1::2, 1::2]
    return (total + 2) >> 2


def variance(features: Features) -> float:
    """Return the variance of a pixel's features about their mean, added up over the three."""
    wide = features.astype(np.int64)
    count = float(wide.shape[0] * wide.shape[1])
    means = [float(total) / count for total in wide.sum(axis=(0, 1)).tolist()]
    return float(np.square(wide).sum()) / count - _total(mean * mean for mean in means)


def _total(values: Iterable[float]) -> float:
    first, second, third = values
    return first + second + third
