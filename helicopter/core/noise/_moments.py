"""Means and variances of what an image shows, to set its noise against."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Labels, Mask

__all__ = ["Moments", "moments_of", "moments_of_segments", "variance_by_scale"]

#: Rows looked at together, which bounds the memory; whole squares of the largest scale.
STRIP = 128


class Moments(NamedTuple):
    """Of the visible pixels, on the [0, 1] scale; each the mean over the channels."""

    mean: float
    square: float
    variance: float


def moments_of(image: Image, included: Mask) -> Moments:
    """Return the moments of the whole image."""
    (level,) = _sums(image, included, 1)
    return level.moments()


def variance_by_scale(image: Image, included: Mask, count: int) -> tuple[Moments, list[float]]:
    """Return the moments, and the variance of the image averaged over squares of 1, 2, 4 ...

    Only squares that are visible altogether count; the variance is NaN where there is none.
    """
    levels = _sums(image, included, count)
    return levels[0].moments(), [level.moments().variance for level in levels]


def moments_of_segments(image: Image, included: Mask, labels: Labels, count: int) -> list[Moments]:
    """Return the moments of each of `count` segments, each of which has a visible pixel."""
    sums = np.zeros((image.shape[2], count))
    squares = np.zeros((image.shape[2], count))
    pixels = np.zeros(count)
    everything = bool(included.all())
    for top in range(0, len(image), STRIP):
        rows = slice(top, top + STRIP)
        seen = np.s_[:] if everything else included[rows]
        where = labels[rows][seen].ravel().astype(np.intp)
        pixels += np.bincount(where, minlength=count)
        for channel in range(image.shape[2]):
            values = image[rows, :, channel][seen].ravel().astype(np.float64)
            sums[channel] += np.bincount(where, values, count)
            squares[channel] += np.bincount(where, values * values, count)
    sums /= pixels
    squares /= pixels
    variance = np.maximum(squares - sums * sums, 0.0).mean(axis=0)
    return [
        Moments(float(mean), float(square), float(spread))
        for mean, square, spread in zip(
            sums.mean(axis=0), squares.mean(axis=0), variance, strict=True
        )
    ]


class _Sums:
    """Sums over the squares of one size, channel by channel."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.first = np.zeros(channels)
        self.second = np.zeros(channels)

    def moments(self) -> Moments:
        if self.count == 0:
            return Moments(math.nan, math.nan, math.nan)
        mean, square = self.first / self.count, self.second / self.count
        variance = np.maximum(square - mean * mean, 0.0)
        return Moments(float(mean.mean()), float(square.mean()), float(variance.mean()))


def _sums(image: Image, included: Mask, count: int) -> list[_Sums]:
    """Sum up strip by strip: columns in float32, which is quick, and their sums in float64."""
    width, channels = image.shape[1:]
    levels = [_Sums(channels) for _ in range(count)]
    everything = bool(included.all())
    for top in range(0, len(image), STRIP):
        strip = image[top : top + STRIP]
        visible = None if everything else included[top : top + STRIP]
        # what is not visible is 0 and adds nothing
        rows = strip.reshape(len(strip), width * channels)
        levels[0].count += rows.size // channels if visible is None else _count(visible)
        for sums, subscripts in ((levels[0].first, "ij->j"), (levels[0].second, "ij,ij->j")):
            columns = np.einsum(subscripts, *[rows] * subscripts.count("i"))
            sums += columns.reshape(width, channels).sum(axis=0, dtype=np.float64)
        planes: list[NDArray[np.float32]] = []
        for level in levels[1:]:
            # interleaved channels are slow to add up one by one: rows first, all channels together
            pairs = (
                [_pairs(plane) for plane in planes] if planes else _channels(_pairs(rows), width)
            )
            planes = [_columns(pair) for pair in pairs]
            if visible is not None:
                visible = _halved_mask(visible)
                for plane in planes:
                    plane[~visible] = 0
            level.count += planes[0].size if visible is None else _count(visible)
            for channel, plane in enumerate(planes):
                level.first[channel] += np.einsum("ij->j", plane).sum(dtype=np.float64)
                level.second[channel] += np.einsum("ij,ij->j", plane, plane).sum(dtype=np.float64)
    return levels


def _count(visible: Mask) -> int:
    return int(np.count_nonzero(visible))


def _pairs(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add up rows by twos; an odd last one is left out."""
    height = len(rows) // 2 * 2
    return np.asarray(rows[0:height:2] + rows[1:height:2])


def _channels(rows: NDArray[np.float32], width: int) -> list[NDArray[np.float32]]:
    interleaved = rows.reshape(len(rows), width, rows.shape[1] // width)
    return [interleaved[:, :, channel] for channel in range(interleaved.shape[2])]


def _columns(pairs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average squares of two by two, of which the rows have been added up."""
    width = pairs.shape[1] // 2 * 2
    small = pairs[:, 0:width:2] + pairs[:, 1:width:2]
    small *= np.float32(0.25)
    return np.asarray(small)


def _halved_mask(visible: Mask) -> Mask:
    height, width = visible.shape[0] // 2 * 2, visible.shape[1] // 2 * 2
    both = visible[0:height:2] & visible[1:height:2]
    return np.asarray(both[:, 0:width:2] & both[:, 1:width:2])
