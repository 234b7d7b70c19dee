"""Pixels that stand out among their neighbours, and the chance that a hit would: counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Mask


__all__ = [
    "MARGINS",
    "OFFSETS",
    "SAMPLE",
    "Counts",
    "Plane",
    "coincidence",
    "counted",
    "fine_scale",
    "joint_plane",
    "level_step",
]

#: What stands out lies beyond the values of the neighbours by at least a share of their range.
#: Which values: all (rank 0) or all but the lowest and the highest (rank 1). Which share.
THRESHOLDS = ((0, 0.5), (0, 1.0), (0, 2.0), (1, 1.0), (1, 2.0))
#: ... and by at least this share of the image's range.
FLOOR = np.float32(0.06)
#: Neighbours are "far from black (white)" by these shares of the image's range.
MARGINS = (0.04, 0.08, 0.16, 0.32)
#: Rows, and pixels, worked on at a time; bounds the memory for large images.
STRIP = 128
#: What need not be known precisely is counted on every so many rows of those.
SAMPLE = 4
#: Bins of the histogram of the ranges of neighbours.
BINS = 256
#: What eight independent normal values span without the lowest and the highest, in sigmas.
NORMAL_RANGE = 1.7043
#: Neighbours, and where the value that replaces a hit may come from: (row, column).
OFFSETS = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x])


@dataclass
class Plane:
    """One value a pixel, and what values mean."""

    values: NDArray[np.float32]
    low: np.float32
    high: np.float32
    step: np.float32

    @property
    def span(self) -> np.float32:
        return self.high - self.low


@dataclass
class Counts:
    """Sums over the pixels whose eight neighbours are all known."""

    pixels: int = 0
    #: A hit's chance to stand out without being black or white, summed; by threshold.
    chance: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(THRESHOLDS)))
    #: Pixels that stand out and are neither black nor white; that are; by threshold.
    inside: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(THRESHOLDS), np.int64))
    extreme: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(THRESHOLDS), np.int64))
    #: Pixels whose neighbours are far from black (0) or white (1), and which are so; by margin.
    eligible: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((2, len(MARGINS)), np.int64)
    )
    found: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, len(MARGINS)), np.int64))
    #: Pixels without colour that stand out at the second threshold.
    grey: int = 0
    #: In every fourth of these rows: pixels, those without colour.
    sampled: int = 0
    colourless: int = 0
    #: ... and ranges of the neighbours (rank 1), as a histogram over the image's range.
    ranges: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))


def joint_plane(pixels: Image, low: np.float32, high: np.float32, step: np.float32) -> Plane:
    if pixels.shape[2] == 1:
        return Plane(pixels[:, :, 0], low, high, step)
    values = (pixels[:, :, 0] + pixels[:, :, 1]) + pixels[:, :, 2]
    return Plane(values, (low + low) + low, (high + high) + high, np.float32(3) * step)


def level_step(pixels: Image, included: Mask) -> np.float32:
    """Distance of neighbouring levels if there are 256 of them, else 0."""
    levels = pixels[::16][included[::16]] * np.float32(255)
    whole = bool((np.abs(levels - np.rint(levels)) < np.float32(1e-3)).all())
    return np.float32(1 / 255) if whole else np.float32(0)


def counted(plane: Plane, pixels: Image, included: Mask, every: int) -> Counts:
    counts = Counts()
    rows = np.arange(1, plane.values.shape[0] - 1, every)
    for first in range(0, rows.size, STRIP):
        some = rows[first : first + STRIP]
        _count_rows(plane, pixels, included, some, (some - 1) % (SAMPLE * every) == 0, counts)
    return counts


def _count_rows(
    plane: Plane,
    pixels: Image,
    included: Mask,
    rows: NDArray[np.int64],
    sampled: Mask,
    counts: Counts,
) -> None:
    known = _known(included, rows)
    counts.pixels += int(known.sum())
    ordered = np.sort(_neighbours(plane.values, rows), axis=0)[:, known]
    value = plane.values[rows, 1:-1][known]
    colourless = np.zeros(value.shape, dtype=bool)
    if pixels.shape[2] == 3:
        rgb = pixels[rows, 1:-1][known]
        colourless = (rgb[:, 0] == rgb[:, 1]) & (rgb[:, 1] == rgb[:, 2])
    sample = np.broadcast_to(sampled[:, None], known.shape)[known]
    counts.sampled += int(sample.sum())
    counts.colourless += int((colourless & sample).sum())
    low, high, half = plane.low, plane.high, plane.step / np.float32(2)
    extreme = (value == low) | (value == high)
    for k in range(len(THRESHOLDS)):
        start, end, out = _stands_out(plane, value, ordered, k)
        room = np.maximum(start - (low + half), 0) + np.maximum((high - half) - end, 0)
        counts.chance[k] += float(room.sum(dtype=np.float64)) / float(plane.span + plane.step)
        counts.extreme[k] += int((out & extreme).sum())
        counts.inside[k] += int((out & ~extreme).sum())
        if k == 1:
            counts.grey += int((out & colourless).sum())
    for k, margin in enumerate(MARGINS):
        away = np.float32(margin) * plane.span
        for side, far in enumerate((ordered[0] > low + away, ordered[7] < high - away)):
            counts.eligible[side, k] += int(far.sum())
            counts.found[side, k] += int((far & (value == (low, high)[side])).sum())
    ranges = (ordered[6] - ordered[1])[sample] * (np.float32(BINS - 1) / plane.span)
    bins = np.minimum(ranges.astype(np.int64), BINS - 1)
    counts.ranges += np.bincount(bins, minlength=BINS)


def coincidence(planes: list[Plane], included: Mask, every: int) -> float:
    """Of the pixels that stand out in a channel, the share that does in another one too."""
    height = included.shape[0]
    rows = np.arange(1, height - 1, every)
    one = more = 0
    for first in range(0, rows.size, STRIP):
        some = rows[first : first + STRIP]
        channels = np.zeros((some.size, included.shape[1] - 2), dtype=np.int64)
        for plane in planes:
            ordered = np.sort(_neighbours(plane.values, some), axis=0)
            channels += _stands_out(plane, plane.values[some, 1:-1], ordered, 1)[2]
        channels[~_known(included, some)] = 0
        one += int((channels >= 1).sum())
        more += int((channels >= 2).sum())
    return more / max(one, 1)


def _neighbours(values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """The eight neighbours of the pixels of some rows, without the border: (8, rows, W - 2)."""
    width = values.shape[1]
    return np.stack([values[rows + dy, 1 + dx : width - 1 + dx] for dy, dx in OFFSETS])


def _known(included: Mask, rows: NDArray[np.int64]) -> Mask:
    return np.asarray(included[rows, 1:-1] & _neighbours(included, rows).all(axis=0))


def _stands_out(
    plane: Plane, value: NDArray[np.float32], ordered: NDArray[np.float32], threshold: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], Mask]:
    """Between which values a pixel would fit in with its ordered neighbours; which do not."""
    rank, share = THRESHOLDS[threshold]
    below, above = ordered[rank], ordered[7 - rank]
    reach = np.maximum(FLOOR * plane.span, np.float32(share) * (above - below))
    start, end = below - reach, above + reach
    return start, end, (value < start) | (value > end)


def fine_scale(counts: Counts) -> float:
    """Sigma of the fine noise in the least detailed quarter of an image, per unit of its range."""
    total = np.cumsum(counts.ranges)
    quarter = int(np.searchsorted(total, 0.25 * total[-1])) if total[-1] else 0
    return (quarter + 0.5) / (BINS - 1) / NORMAL_RANGE
