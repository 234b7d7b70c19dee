"""Impulse noise: salt and pepper, and pixels replaced by random values.

Everything rests on one idea: decide from the *neighbours* of a pixel alone what value would stand
out there, then look at the pixel. A hit does not know its neighbours, so the share of pixels that
stand out, divided by the chance that a hit would, estimates the density without bias, however many
of the neighbours are hits themselves. What stands out without being a hit (texture, other noise)
fades as more is asked for, and hits do not: the estimates of several thresholds agree if there are
hits. The evidence weighs this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from helicopter.backends.protocol import Image, Mask

__all__ = ["FEATURES", "Impulses", "find_impulses", "repair"]

#: What stands out lies beyond the values of the neighbours by at least a share of their range.
#: Which values: all (rank 0) or all but the lowest and the highest (rank 1). Which share.
THRESHOLDS = ((0, 0.5), (0, 1.0), (0, 2.0), (1, 1.0), (1, 2.0))
#: ... and by at least this share of the image's range.
FLOOR = np.float32(0.06)
#: Neighbours are "far from black (white)" by these shares of the image's range.
MARGINS = (0.04, 0.08, 0.16, 0.32)
#: Rows, and pixels, worked on at a time; bounds the memory for large images.
STRIP = 128
CHUNK = 1 << 20
#: So many pixels are enough to tell whether there are hits, and so many to tell how many; at least
#: every fourth row is counted.
MANY = 1 << 17
FINE = 1 << 19
SPARSEST = 4
#: Channels are looked at one by one on every so many rows, unless they turn out to have hits.
GLANCE = 4
#: What need not be known precisely is counted on every so many rows of those.
SAMPLE = 4
#: Bins of the histogram of the ranges of neighbours.
BINS = 256
#: What eight independent normal values span without the lowest and the highest, in sigmas.
NORMAL_RANGE = 1.7043
#: Thresholds of the mask, in units of the spread of the four neighbours in the middle and of the
#: fine noise together; at least a share of the image's range.
SPREADS = (0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
MASK_FLOOR = np.float32(0.04)
#: From this density on, hits are looked for again among neighbours that are none.
CROWDED = 0.05
#: From so many pixels on, a sample of the rows is enough to choose the threshold of the mask.
ENOUGH = 1 << 18
#: At least this share of the pixels in the mask has to be hits.
PRECISION = 0.85
#: Neighbours, and where the value that replaces a hit may come from: (row, column).
OFFSETS = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x])
DONORS = np.array([(y, x) for y in range(-2, 3) for x in range(-2, 3) if y or x])
#: Of what stands out in normal noise at the second threshold, the share that does at the third.
FADE = 0.057
#: Fewer hits than this (seen, not estimated) are not called noise.
FEWEST = 6
#: Of pixels that stand out in a channel, fewer do in another if channels are hit one by one.
COINCIDENCE = 0.3
#: Evidence that it takes to believe so.
CHANNELS_NEED = 4.0
#: What is known of an image's impulses: name, the range in which it is believed, and its weight in
#: the evidence for salt and pepper and for random values. By training/fit_noise_impulses.py.
EVIDENCE = (
    ("pepper_04", -9.909, 1.683, 0.8127, -0.8063),
    ("pepper_08", -10.217, 1.606, 0.641, 0.0838),
    ("pepper_16", -10.382, 1.424, 0.603, -0.4275),
    ("pepper_32", -10.142, 1.184, 0.4163, 0.7141),
    ("salt_04", -9.879, 1.782, -0.077, -1.4953),
    ("salt_08", -10.153, 1.731, -0.0551, 0.0943),
    ("salt_16", -10.377, 1.578, 0.0528, 0.7239),
    ("salt_32", -10.357, 1.255, 1.1753, -1.0741),
    ("salt_to_pepper", -3.039, 3.985, 0.0658, 0.153),
    ("room_for_pepper", -1.736, 1.34, 1.3528, 3.3142),
    ("room_for_salt", -0.999, 0.791, 3.7137, 5.6333),
    ("random_0_05", -7.051, 2.288, -0.4138, 2.3084),
    ("random_0_1", -7.87, 2.055, -0.3695, 2.3427),
    ("random_0_2", -9.057, 1.828, -0.1743, 1.2173),
    ("random_1_1", -6.125, 2.188, -0.259, -0.5283),
    ("random_1_2", -6.758, 1.884, -0.1231, -1.6722),
    ("chance_0_1", -1.558, 0.789, 5.4343, 1.4927),
    ("chance_0_2", -2.67, 1.426, -1.5837, 4.2405),
    ("fade_high", -3.16, 1.746, 0.6544, -3.5973),
    ("fade_low", -2.12, 1.067, -0.0361, 2.9245),
    ("fade_rank", -1.951, 4.305, 0.2927, -6.8766),
    ("extremes_0_1", -17.642, 11.082, 0.7934, 0.7341),
    ("extremes_0_2", -16.073, 11.45, 1.2384, -0.1254),
    ("grey_hits", -1.106, 1.52, 3.0424, 6.2613),
    ("grey_pixels", -0.406, 0.459, -0.4963, -3.0521),
    ("scale", -3.966, 0.608, 0.4877, 0.3408),
    ("salt_pepper_density", -9.369, 0.724, 1.3594, -0.1914),
    ("impulse_density", -8.505, 1.418, 0.0867, 4.4946),
    ("pixels", 2.019, 7.209, -0.3652, 1.5199),
)
EVIDENCE_AT_ZERO = (14.6127, 10.3381)
#: The names of `Impulses.features`.
FEATURES = tuple(name for name, *_ in EVIDENCE)


@dataclass(frozen=True)
class Impulses:
    """What was found; `features` are named by `FEATURES`."""

    mask: Mask
    salt_pepper_density: float
    impulse_density: float
    features: NDArray[np.float64]


@dataclass
class _Plane:
    """One value a pixel, and what values mean."""

    values: NDArray[np.float32]
    low: np.float32
    high: np.float32
    step: np.float32

    @property
    def span(self) -> np.float32:
        return self.high - self.low


@dataclass
class _Counts:
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


def find_impulses(pixels: Image, included: Mask) -> Impulses:
    """Find the hits among the `included` pixels, and the share of pixels that were hit.

    A hit replaces whole pixels. If hits of single channels are found instead, the densities are the
    shares of the pixels with a hit in any channel.
    """
    height, width, channels = pixels.shape
    mask = np.zeros((height, width), dtype=bool)
    every, fine = (min(max(height * width // enough, 1), SPARSEST) for enough in (MANY, FINE))
    known = pixels[::every][included[::every]]
    low, high = (known.min(), known.max()) if known.size else (np.float32(0), np.float32(0))
    step = _step(pixels, included)
    joint = _joint_plane(pixels, low, high, step)
    if min(height, width) < 3 or low == high:
        return Impulses(mask, 0.0, 0.0, _features([_Counts()], (0.0, 0.0)))
    look = _look([joint], pixels, included, every)
    if channels == 3:
        single = [_Plane(pixels[:, :, c], low, high, step) for c in range(channels)]
        glance = _look(single, pixels, included, every * GLANCE)
        apart = _coincidence(single, included, every * GLANCE) < COINCIDENCE
        if (glance.salt_pepper and not look.salt_pepper) or (glance.random and apart):
            look = _look(single, pixels, included, every)
    if (look.salt_pepper or look.random) and fine < every:
        judgement = look.salt_pepper, look.random
        look = _look(look.planes, pixels, included, fine)
        look.salt_pepper, look.random = judgement
    for plane, count in zip(look.planes, look.counts, strict=True):
        densities = _densities(plane, count)
        if look.salt_pepper:
            mask |= _extreme_mask(plane, included, densities[0], _scale(count))
        if look.random:
            mask |= _random_mask(plane, included, densities[1], _scale(count))
    return Impulses(
        mask,
        look.densities[0] if look.salt_pepper else 0.0,
        look.densities[1] if look.random else 0.0,
        look.features,
    )


@dataclass
class _Look:
    """What there is to say about the joint plane, or about the channels as planes of their own."""

    planes: list[_Plane]
    counts: list[_Counts]
    densities: tuple[float, float]
    features: NDArray[np.float64]
    salt_pepper: bool
    random: bool


def _look(planes: list[_Plane], pixels: Image, included: Mask, every: int) -> _Look:
    # channels that are hit one by one say nothing about colour
    colour = pixels if len(planes) == 1 else pixels[:, :, :1]
    counts = [_count(plane, colour, included, every) for plane in planes]
    densities = _together([_densities(*both) for both in zip(planes, counts, strict=True)])
    features = _features(counts, densities)
    least = 0.0 if len(planes) == 1 else CHANNELS_NEED
    return _Look(planes, counts, densities, features, *_judge(features, counts, least))


def _judge(features: NDArray[np.float64], counts: list[_Counts], least: float) -> tuple[bool, bool]:
    """Whether there is salt and pepper, and whether there are random values."""
    table = np.array([row[1:] for row in EVIDENCE])
    believed = np.clip(features, table[:, 0], table[:, 1])
    evidence = EVIDENCE_AT_ZERO + believed @ table[:, 2:]
    seen = (
        sum(int(count.found[:, 1].sum()) for count in counts),
        sum(int(count.inside[1]) for count in counts),
    )
    return (
        bool(evidence[0] > least and seen[0] >= FEWEST),
        bool(evidence[1] > least and seen[1] >= FEWEST),
    )


def _together(densities: list[tuple[float, float]]) -> tuple[float, float]:
    """Share of the pixels hit in any plane, if planes are hit one by one."""
    if len(densities) == 1:
        return densities[0]
    missed = np.prod(1 - np.array(densities), axis=0)
    return float(1 - missed[0]), float(1 - missed[1])


def _coincidence(planes: list[_Plane], included: Mask, every: int) -> float:
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


def _joint_plane(pixels: Image, low: np.float32, high: np.float32, step: np.float32) -> _Plane:
    if pixels.shape[2] == 1:
        return _Plane(pixels[:, :, 0], low, high, step)
    values = (pixels[:, :, 0] + pixels[:, :, 1]) + pixels[:, :, 2]
    return _Plane(values, (low + low) + low, (high + high) + high, np.float32(3) * step)


def _step(pixels: Image, included: Mask) -> np.float32:
    """Distance of neighbouring levels if there are 256 of them, else 0."""
    levels = pixels[::16][included[::16]] * np.float32(255)
    whole = bool((np.abs(levels - np.rint(levels)) < np.float32(1e-3)).all())
    return np.float32(1 / 255) if whole else np.float32(0)


def _count(plane: _Plane, pixels: Image, included: Mask, every: int) -> _Counts:
    counts = _Counts()
    rows = np.arange(1, plane.values.shape[0] - 1, every)
    for first in range(0, rows.size, STRIP):
        some = rows[first : first + STRIP]
        _count_rows(plane, pixels, included, some, (some - 1) % (SAMPLE * every) == 0, counts)
    return counts


def _neighbours(values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """The eight neighbours of the pixels of some rows, without the border: (8, rows, W - 2)."""
    width = values.shape[1]
    return np.stack([values[rows + dy, 1 + dx : width - 1 + dx] for dy, dx in OFFSETS])


def _known(included: Mask, rows: NDArray[np.int64]) -> Mask:
    return np.asarray(included[rows, 1:-1] & _neighbours(included, rows).all(axis=0))


def _stands_out(
    plane: _Plane, value: NDArray[np.float32], ordered: NDArray[np.float32], threshold: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], Mask]:
    """Between which values a pixel would fit in with its ordered neighbours; which do not."""
    rank, share = THRESHOLDS[threshold]
    below, above = ordered[rank], ordered[7 - rank]
    reach = np.maximum(FLOOR * plane.span, np.float32(share) * (above - below))
    start, end = below - reach, above + reach
    return start, end, (value < start) | (value > end)


def _count_rows(
    plane: _Plane,
    pixels: Image,
    included: Mask,
    rows: NDArray[np.int64],
    sampled: Mask,
    counts: _Counts,
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


def _scale(counts: _Counts) -> float:
    """Sigma of the fine noise in the calmest quarter of the image, as a share of its range."""
    total = np.cumsum(counts.ranges)
    quarter = int(np.searchsorted(total, 0.25 * total[-1])) if total[-1] else 0
    return (quarter + 0.5) / (BINS - 1) / NORMAL_RANGE


def _blend(
    rates: NDArray[np.float64], hits: NDArray[np.float64], trials: NDArray[np.float64]
) -> float:
    """One rate out of several: the first is the safest, the later ones have more to stand on."""
    variance = (hits + 1) / np.maximum(trials, 1e-9) ** 2
    bias = np.maximum((rates - rates[0]) ** 2 - np.maximum(variance[0] - variance, 0), 0)
    weight = 1 / (variance + bias)
    return float((weight * rates).sum() / weight.sum())


def _densities(plane: _Plane, counts: _Counts) -> tuple[float, float]:
    """Share of pixels hit by salt and pepper, and by random values, if this is what stands out."""
    inside, chance = counts.inside.astype(np.float64), counts.chance
    # Of what stands out in noise of other kinds, about this share does so at the highest threshold.
    others = np.array([inside[2] - FADE * inside[1], chance[2] - FADE * chance[1]])
    hits = np.concatenate([np.maximum(others[:1], 0), inside[[2, 1, 4, 0]]])
    trials = np.maximum(np.concatenate([others[1:], chance[[2, 1, 4, 0]]]), 1e-9)
    random = _blend(hits / trials, inside[[2, 2, 1, 4, 0]], trials)
    found = 2.0 * counts.found.sum(axis=0)[[3, 2, 1]]
    eligible = np.maximum(counts.eligible.sum(axis=0)[[3, 2, 1]], 1)
    # a random value is black or white now and then
    black_or_white = random * float(2 * plane.step / (plane.span + plane.step))
    extreme = _blend(found / eligible, 2 * found, eligible) - black_or_white
    return min(max(extreme, 0.0), 1.0), min(random, 1.0)


def _features(counts: list[_Counts], densities: tuple[float, float]) -> NDArray[np.float64]:
    """See `FEATURES`; of all planes together."""
    pixels = max(sum(count.pixels for count in counts), 1)
    inside = np.sum([count.inside for count in counts], axis=0)
    extreme = np.sum([count.extreme for count in counts], axis=0)
    chance = np.sum([count.chance for count in counts], axis=0)
    eligible = np.sum([count.eligible for count in counts], axis=0)
    found = np.sum([count.found for count in counts], axis=0)
    grey = sum(count.grey for count in counts)
    out = (inside + extreme)[1]
    pepper, salt = np.log10((found + 0.1) / (eligible + 100))
    rates = np.log10((inside + 0.1) / (chance + 100))
    return np.array(
        [
            *pepper,
            *salt,
            abs(np.log((found[0, 2] + 1) / (found[1, 2] + 1))),
            *np.log10((eligible[:, 2] + 1) / pixels),
            *rates,
            *np.log10((chance[[1, 2]] + 1) / pixels),
            rates[2] - rates[1],
            rates[1] - rates[0],
            rates[4] - rates[2],
            *np.log((extreme[[1, 2]] + 0.1) / (inside[[1, 2]] + 1)),
            (grey + 0.5) / (out + 1),
            sum(count.colourless for count in counts) / max(sum(c.sampled for c in counts), 1),
            np.log10(np.mean([_scale(count) for count in counts])),
            *np.log10(np.array(densities) + 1e-5),
            np.log10(pixels),
        ],
        dtype=np.float64,
    )


def _around(
    values: NDArray[np.float32], valid: Mask, y: NDArray[np.int64], x: NDArray[np.int64]
) -> tuple[NDArray[np.float32], Mask]:
    """Values of the eight neighbours of some pixels, and which of them are known; each (8, n)."""
    height, width = values.shape
    rows, columns = y + OFFSETS[:, :1], x + OFFSETS[:, 1:]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    rows, columns = np.where(inside, rows, y), np.where(inside, columns, x)
    return values[rows, columns], inside & valid[rows, columns]


def _extreme_mask(plane: _Plane, included: Mask, density: float, scale: float) -> Mask:
    """Black and white pixels that are not in black or white surroundings."""
    mask = np.zeros(included.shape, dtype=bool)
    most = _most_alike(density / 2)
    margin = np.float32(max(MARGINS[0], 3 * scale)) * plane.span
    for extreme, sign in ((plane.low, np.float32(1)), (plane.high, np.float32(-1))):
        places = np.argwhere((plane.values == extreme) & included)
        for first in range(0, len(places), CHUNK):
            y, x = places[first : first + CHUNK].T
            around, known = _around(plane.values, included, y, x)
            alike = (around == extreme) & known
            distance = np.where(known & ~alike, sign * (around - extreme), np.float32(np.inf))
            others = (known & ~alike).sum(axis=0)
            middle = np.sort(distance, axis=0)[np.maximum(others - 1, 0) // 2, np.arange(y.size)]
            hit = (others > 0) & (alike.sum(axis=0) <= most) & (middle > margin)
            mask[y[hit], x[hit]] = True
    return mask


def _most_alike(rate: float) -> int:
    """How many of eight neighbours are black (white) by chance, but for once in a thousand."""
    below = term = (1 - rate) ** 8
    count = 0
    while below < 0.999 and count < 7:
        term *= (8 - count) / (count + 1) * rate / (1 - rate)
        count += 1
        below += term
    return count


def _random_mask(plane: _Plane, included: Mask, density: float, scale: float) -> Mask:
    """Pixels that stand out from the middle of their neighbours, by as much as most hits need."""
    mask = np.zeros(included.shape, dtype=bool)
    donors = included
    for _ in range(2 if density > CROWDED else 1):
        seen = np.zeros(len(SPREADS), dtype=np.int64)
        chance = np.zeros(len(SPREADS))
        every = 1 if mask.size < ENOUGH else SAMPLE
        for value, judged, below, above, _ in _strips(plane, included, donors, every):
            for k, (start, end) in enumerate(_bounds(plane, scale, below, above)):
                seen[k] += int((judged & ((value < start) | (value > end))).sum())
                room = np.maximum(start - plane.low, 0) + np.maximum(plane.high - end, 0)
                chance[k] += float(room.sum(where=judged, dtype=np.float64)) / float(plane.span)
        good = np.nonzero(density * chance >= PRECISION * seen)[0]
        if not good.size:
            return mask
        for value, judged, below, above, rows in _strips(plane, included, donors, 1):
            start, end = list(_bounds(plane, scale, below, above))[good[0]]
            mask[rows] = judged & ((value < start) | (value > end))
        donors = included & ~mask
    return mask


def _strips(
    plane: _Plane, included: Mask, donors: Mask, every: int
) -> Iterator[
    tuple[NDArray[np.float32], Mask, NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]
]:
    height = included.shape[0]
    for first in range(0, height, STRIP * every):
        rows = np.arange(first, min(first + STRIP * every, height), every)
        value, enough, below, above = _middle(plane.values, donors, rows)
        yield value, enough & included[rows], below, above, rows


def _bounds(
    plane: _Plane, scale: float, below: NDArray[np.float32], above: NDArray[np.float32]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    spread = (above - below) + np.float32(scale) * plane.span
    for factor in SPREADS:
        reach = np.maximum(MASK_FLOOR * plane.span, np.float32(factor) * spread)
        yield below - reach, above + reach


def _middle(
    values: NDArray[np.float32], valid: Mask, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], Mask, NDArray[np.float32], NDArray[np.float32]]:
    """The third lowest and third highest of eight neighbours; which pixels have enough of them.

    Where neighbours are missing, those that are there are counted again, in turn, up to eight.
    """
    width = values.shape[1]
    y, x = np.repeat(rows, width), np.tile(np.arange(width), rows.size)
    around, known = _around(values, valid, y, x)
    count = known.sum(axis=0)
    some = np.nonzero(count < 8)[0]
    if some.size:
        order = np.argsort(~known[:, some], axis=0, kind="stable")
        turn = np.arange(8)[:, None] % np.maximum(count[some], 1)
        there = np.take_along_axis(around[:, some], order, axis=0)
        around[:, some] = np.take_along_axis(there, turn, axis=0)
    around.sort(axis=0)
    shape = (rows.size, width)
    judged = (count >= 3).reshape(shape)
    return values[rows], judged, around[2].reshape(shape), around[5].reshape(shape)


def repair(pixels: Image, mask: Mask, included: Mask | None = None) -> Image:
    """Replace the pixels in `mask` by one of their neighbours each, picked as if by lot.

    A mean of neighbours would be less noisy than they are, and always the nearest would vary along
    with it: both would make noise look smaller. Donors all around leave the spectrum nearly as it
    was. A pixel without a donor within reach stays as it is.
    """
    height, width = mask.shape
    out = pixels.copy()
    donor = ~mask if included is None else ~mask & included
    places = np.argwhere(mask)
    for first in range(0, len(places), CHUNK):
        y, x = places[first : first + CHUNK].T
        start = _lot(y, x)
        for turn in range(len(DONORS)):
            dy, dx = DONORS[(start + turn) % len(DONORS)].T
            rows, columns = y + dy, x + dx
            inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            good = inside & donor[np.where(inside, rows, 0), np.where(inside, columns, 0)]
            out[y[good], x[good]] = pixels[rows[good], columns[good]]
            y, x, start = y[~good], x[~good], start[~good]
    return out


def _lot(y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number from 0 to the number of donors for every place, without a pattern."""
    word = y.astype(np.uint32) * np.uint32(0x9E3779B1) ^ x.astype(np.uint32) * np.uint32(0x85EBCA77)
    word ^= word >> np.uint32(15)
    word *= np.uint32(0x2C1B3C6D)
    word ^= word >> np.uint32(12)
    return (word % np.uint32(len(DONORS))).astype(np.int64)
