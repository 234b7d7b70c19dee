"""What kind of thing a segment is, told from its own visible pixels, and how hard to try with it.

Everything is a sum over squares of 2 x 2 pixels that lie within one segment and are visible, so
that nothing outside a segment has a say in its type. The rules are asked in this order:

==========  ======================================================================================
background  at least 5 % of the image, at least 10 % of its border, and calm: roughness < 0.03
smooth      roughness < 0.012: about three grey levels of 255 from pixel to pixel
text        two tones far apart, the rarer one drawn in thin strokes of many directions: see below
edge        what changes does so across few lines: in small squares it has one direction
            (alignment >= 0.75), and few pixels carry it (spread < 0.35)
texture     what changes is spread evenly: spread >= 0.2
detail      the rest
==========  ======================================================================================

*Roughness* is the root mean square of the gradient. *Alignment* is the coherence of the structure
tensor (Bigun & Granlund, "Optimal orientation detection of linear symmetry", ICCV 1987) of squares
of 8 x 8 pixels, averaged with their energy as weight; that of the whole segment where it holds no
such square. *Spread* is (mean g²)² / mean g⁴ of the gradient g: the share of pixels that would
carry the same energy if all carried as much.

*Text*: a threshold (Otsu, "A threshold selection method from gray-level histograms", IEEE Trans.
SMC 9, 1979) leaves at most a fifth of the variance within its two classes, whose means are 0.25 of
the range apart; the rarer class holds 2 % to 45 % of the pixels; its strokes, measured as twice its
area over the length of its outline, are at most 6 pixels thick; and the structure tensor of the
whole segment has no one direction (coherence < 0.8), as stripes have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from helicopter.core.results._parts import SEGMENT_TYPES, SegmentType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Labels, Map, Mask

__all__ = [
    "EFFORTS",
    "Effort",
    "border_pixels",
    "extents",
    "types_of",
]

#: Rows looked at together, which bounds the memory; whole squares.
STRIP = 256


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


class Effort(NamedTuple):
    """How hard to try with a segment of some type.

    The loop ends after `max_iterations`, when the quality is 95 % sure to be above
    `target_quality`, or when it has stayed within `plateau` for eight iterations.
    """

    max_iterations: int
    target_quality: float
    plateau: float


#: What is calm is soon known, and must be predicted well to count as understood; of what is full of
#: detail less can be asked, and more must be seen. A whole segment takes about 24 iterations.
EFFORTS: Mapping[SegmentType, Effort] = {
    "background": Effort(12, 0.97, 2e-3),
    "smooth": Effort(8, 0.98, 2e-3),
    "text": Effort(24, 0.80, 5e-4),
    "edge": Effort(24, 0.90, 5e-4),
    "texture": Effort(16, 0.85, 1e-3),
    "detail": Effort(24, 0.90, 1e-3),
}

#: Side of the squares whose direction is looked at.
SQUARE = 8
#: Grey levels are counted in so many steps.
BINS = 64

LARGE, AT_BORDER, CALM = 0.05, 0.10, 0.03
SMOOTH = 0.012
TWO_TONES, TONES_APART, RAREST, RARER, THIN, MANY_DIRECTIONS = 0.8, 0.25, 0.02, 0.45, 6.0, 0.8
ALIGNED, ACROSS_FEW = 0.75, 0.35
EVEN = 0.2


def types_of(
    image: Image,
    visible: Mask,
    labels: Labels,
    areas: NDArray[np.int64],
    border: NDArray[np.int64],
) -> list[SegmentType]:
    """Return the type of each segment.

    Parameters
    ----------
    image : float32 ndarray of shape (H, W, C)
        In [0, 1].
    visible : bool ndarray of shape (H, W)
        Where the image may be looked at.
    labels : int32 ndarray of shape (H, W)
        From 0 to K - 1.
    areas, border : int64 ndarray of shape (K,)
        Number of its pixels, and of those that lie on the image's border.
    """
    found = _measure(image, visible, labels, len(areas))
    height, width = labels.shape
    whole_border = max(2 * (height + width) - 4, 1)
    roughness = found.roughness
    rules = {
        "background": (areas >= LARGE * labels.size)
        & (border >= AT_BORDER * whole_border)
        & (roughness < CALM),
        "smooth": roughness < SMOOTH,
        "text": found.text,
        "edge": (found.alignment >= ALIGNED) & (found.spread < ACROSS_FEW),
        "texture": found.spread >= EVEN,
        "detail": np.ones(len(areas), dtype=bool),
    }
    which = np.argmax(np.stack([rules[name] for name in SEGMENT_TYPES]), axis=0)
    return [SEGMENT_TYPES[index] for index in which.tolist()]


class _Measures(NamedTuple):
    """Of each segment, float64 arrays of shape (K,); `text` is bool."""

    roughness: NDArray[np.float64]
    alignment: NDArray[np.float64]
    spread: NDArray[np.float64]
    text: NDArray[np.bool_]


def _measure(image: Image, visible: Mask, labels: Labels, count: int) -> _Measures:
    squares, xx, yy, xy, fourth, directed, in_squares = np.zeros((7, count))
    histogram = np.zeros((count, BINS), dtype=np.int64)
    for top in range(0, labels.shape[0], STRIP):
        rows, ahead = slice(top, top + STRIP), slice(top, top + STRIP + 1)
        grey, here = _grey(image[ahead]), labels[rows]
        histogram += _histogram(grey[: len(here)], visible[rows], here, count)
        if min(grey.shape) < 2:
            continue  # no square of 2 x 2
        # squares reach down into the next strip
        whole, *products = _gradients(grey, visible[ahead], labels[ahead])
        of = labels[rows][: len(whole), :-1]
        squares += np.bincount(of[whole], minlength=count)
        for sums, field in zip((xx, yy, xy), products, strict=True):
            sums += _sums(of, field, count)
        fourth += _sums(of, np.square(products[0] + products[1]), count)
        numbers, of_squares = _squares(here, products)
        directed += np.bincount(numbers, _directed(*of_squares), count)
        in_squares += np.bincount(numbers, of_squares[0] + of_squares[1], count)
    energy = xx + yy
    with np.errstate(divide="ignore", invalid="ignore"):
        coherence = np.where(energy > 0, _directed(xx, yy, xy) / energy, 0.0)
        alignment = np.where(in_squares > 0, directed / in_squares, coherence)
        roughness = np.sqrt(np.where(squares > 0, energy / squares, 0.0))
        spread = np.where(energy > 0, energy * energy / (squares * fourth), 1.0)
    text = _text(image, visible, labels, histogram) & (coherence < MANY_DIRECTIONS)
    return _Measures(roughness, alignment, spread, text)


def _grey(image: Image) -> Map:
    grey = image[:, :, 0].copy()
    for channel in range(1, image.shape[2]):
        grey += image[:, :, channel]
    grey *= np.float32(1 / image.shape[2])
    return grey


def _gradients(grey: Map, visible: Mask, labels: Labels) -> tuple[Mask, Map, Map, Map]:
    """Return which squares of 2 x 2 lie within one segment, and there gx², gy² and gx gy.

    All arrays have a row and a column less than the image; what is not within is 0.
    """
    whole = visible[:-1, :-1] & visible[:-1, 1:] & visible[1:, :-1] & visible[1:, 1:]
    down = labels[1:] == labels[:-1]
    whole &= down[:, :-1]
    whole &= down[:, 1:]
    whole &= labels[:-1, :-1] == labels[:-1, 1:]
    # the two diagonals of a square: their sum and difference are its slopes, twice as large
    falling = grey[1:, 1:] - grey[:-1, :-1]
    rising = grey[:-1, 1:] - grey[1:, :-1]
    gx = (falling + rising) * np.float32(0.5)
    gy = (falling - rising) * np.float32(0.5)
    gx[~whole] = 0
    gy[~whole] = 0
    return whole, gx * gx, gy * gy, gx * gy


def _sums(labels: Labels, values: Map, count: int) -> NDArray[np.float64]:
    return np.bincount(labels.ravel(), values.ravel(), count).astype(np.float64, copy=False)


def _directed(xx: Any, yy: Any, xy: Any) -> Any:
    """Return the part of the energy xx + yy that has one direction."""
    return np.sqrt(np.square(xx - yy) + 4.0 * np.square(xy))


def _squares(labels: Labels, products: Sequence[Map]) -> tuple[NDArray[np.int32], list[Any]]:
    """Return the segments of the squares of 8 x 8 that lie within one, and their sums."""
    rows, cols = (side // SQUARE for side in labels.shape)
    if rows == 0 or cols == 0:
        return np.empty(0, dtype=np.int32), [np.empty(0)] * len(products)

    def cut(values: NDArray[Any]) -> NDArray[Any]:
        padded = values[: rows * SQUARE, : cols * SQUARE]
        short = (rows * SQUARE - padded.shape[0], cols * SQUARE - padded.shape[1])
        if any(short):  # the last row and column of squares of 2 x 2 would reach out of the image
            padded = np.pad(padded, ((0, short[0]), (0, short[1])))
        return padded.reshape(rows, SQUARE, cols, SQUARE)

    numbers = cut(labels)
    first = numbers[:, 0, :, 0]
    within = (numbers == first[:, None, :, None]).all(axis=(1, 3))
    sums = [cut(values).sum(axis=1).sum(axis=2)[within].astype(np.float64) for values in products]
    return first[within], sums


def _histogram(grey: Map, visible: Mask, labels: Labels, count: int) -> NDArray[np.int64]:
    bins = np.minimum((grey * np.float32(BINS)).astype(np.int32), BINS - 1)[visible]
    numbers = labels[visible].astype(np.int64) * BINS + bins
    return np.bincount(numbers, minlength=count * BINS).reshape(count, BINS)


def _text(
    image: Image, visible: Mask, labels: Labels, histogram: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Say which segments have two tones far apart, the rarer one in thin strokes."""
    level = (np.arange(BINS) + 0.5) / BINS
    pixels = histogram.sum(axis=1)
    below = np.cumsum(histogram, axis=1)[:, :-1].astype(np.float64)
    first = np.cumsum(histogram * level, axis=1)
    total, first = first[:, -1:], first[:, :-1]
    above = pixels[:, None] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = (total - first) / above - first / below
        between = np.where((below > 0) & (above > 0), below * above * np.square(apart), 0.0)
        best = np.argmax(between, axis=1)
        at = (np.arange(len(pixels)), best)
        variance = pixels * (histogram @ np.square(level)) - np.square(total[:, 0])
        two_tones = between[at] >= TWO_TONES * variance
        rarer = np.minimum(below[at], above[at])
        share = rarer / pixels
        found = two_tones & (apart[at] >= TONES_APART) & (share >= RAREST) & (share <= RARER)
    if not found.any():
        return np.asarray(found)
    outline = _outline(image, visible, labels, np.where(found, (best + 1) / BINS, np.inf))
    return np.asarray(found & (2 * rarer <= THIN * outline))


def _outline(
    image: Image, visible: Mask, labels: Labels, threshold: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Count neighbours of one segment that lie on different sides of its threshold."""
    count = np.zeros(len(threshold), dtype=np.int64)
    levels = threshold.astype(np.float32)
    for top in range(0, labels.shape[0], STRIP):
        rows = slice(top, top + STRIP + 1)
        here, shown = labels[rows], visible[rows]
        bright = _grey(image[rows]) >= levels[here]
        last = len(here) - (top + STRIP < labels.shape[0])
        for near, far in (
            (np.s_[:-1], np.s_[1:]),
            (np.s_[:last, :-1], np.s_[:last, 1:]),
        ):
            change = bright[near] != bright[far]
            change &= here[near] == here[far]
            change &= shown[near] & shown[far]
            count += np.bincount(here[near][change], minlength=len(threshold))
    return count
