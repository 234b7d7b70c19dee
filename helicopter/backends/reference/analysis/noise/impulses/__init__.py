"""Impulse noise: salt and pepper, and pixels replaced by random values.

Everything rests on one idea: decide from the *neighbours* of a pixel alone what value would stand
out there, then look at the pixel. A hit does not know its neighbours, so the share of pixels that
stand out, divided by the chance that a hit would, estimates the density without bias, however many
of the neighbours are hits themselves. What stands out without being a hit (texture, other noise)
fades as more is asked for, and hits do not: the estimates of several thresholds agree if there are
hits. The evidence weighs this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .counts import Counts, Plane, coincidence, counted, fine_scale, joint_plane, level_step
from .marks import extreme_mask, random_mask, repair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Mask


__all__ = ["FEATURES", "Impulses", "find_impulses", "repair"]

#: So many pixels are enough to tell whether there are hits, and so many to tell how many; at least
#: every eighth row is counted.
MANY = 1 << 17
FINE = 1 << 19
SPARSEST = 8
#: Channels are looked at one by one on every so many rows, unless they turn out to have hits.
COARSE = 4
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
    step = level_step(pixels, included)
    joint = joint_plane(pixels, low, high, step)
    if min(height, width) < 3 or low == high:
        return Impulses(mask, 0.0, 0.0, _features([Counts()], (0.0, 0.0)))
    measured = _measure([joint], pixels, included, every)
    if channels == 3:
        single = [Plane(pixels[:, :, c], low, high, step) for c in range(channels)]
        coarse = _measure(single, pixels, included, every * COARSE)
        apart = coincidence(single, included, every * COARSE) < COINCIDENCE
        if (coarse.salt_pepper and not measured.salt_pepper) or (coarse.random and apart):
            measured = _measure(single, pixels, included, every)
    if (measured.salt_pepper or measured.random) and fine < every:
        judgement = measured.salt_pepper, measured.random
        measured = _measure(measured.planes, pixels, included, fine)
        measured.salt_pepper, measured.random = judgement
    for plane, count in zip(measured.planes, measured.counts, strict=True):
        densities = _densities(plane, count)
        if measured.salt_pepper:
            mask |= extreme_mask(plane, included, densities[0], fine_scale(count))
        if measured.random:
            mask |= random_mask(plane, included, densities[1], fine_scale(count))
    return Impulses(
        mask,
        measured.densities[0] if measured.salt_pepper else 0.0,
        measured.densities[1] if measured.random else 0.0,
        measured.features,
    )


@dataclass
class _Measured:
    """What there is to say about the joint plane, or about the channels as planes of their own."""

    planes: list[Plane]
    counts: list[Counts]
    densities: tuple[float, float]
    features: NDArray[np.float64]
    salt_pepper: bool
    random: bool


def _measure(planes: list[Plane], pixels: Image, included: Mask, every: int) -> _Measured:
    # channels that are hit one by one say nothing about colour
    colour = pixels if len(planes) == 1 else pixels[:, :, :1]
    counts = [counted(plane, colour, included, every) for plane in planes]
    densities = _together([_densities(*both) for both in zip(planes, counts, strict=True)])
    features = _features(counts, densities)
    least = 0.0 if len(planes) == 1 else CHANNELS_NEED
    return _Measured(planes, counts, densities, features, *_judge(features, counts, least))


def _judge(features: NDArray[np.float64], counts: list[Counts], least: float) -> tuple[bool, bool]:
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


def _blend(
    rates: NDArray[np.float64], hits: NDArray[np.float64], trials: NDArray[np.float64]
) -> float:
    """One rate out of several: the first is the safest, the later ones have more to stand on."""
    variance = (hits + 1) / np.maximum(trials, 1e-9) ** 2
    bias = np.maximum((rates - rates[0]) ** 2 - np.maximum(variance[0] - variance, 0), 0)
    weight = 1 / (variance + bias)
    return float((weight * rates).sum() / weight.sum())


def _densities(plane: Plane, counts: Counts) -> tuple[float, float]:
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


def _features(counts: list[Counts], densities: tuple[float, float]) -> NDArray[np.float64]:
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
            np.log10(np.mean([fine_scale(count) for count in counts])),
            *np.log10(np.array(densities) + 1e-5),
            np.log10(pixels),
        ],
        dtype=np.float64,
    )
