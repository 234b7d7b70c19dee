"""From what a backend found, on the [0, 1] scale, to what results state of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from helicopter.core.results._noise import (
    NOISE_KINDS,
    KindParameters,
    NoiseAction,
    NoiseLevelFunction,
    decibels,
    noise_level_name,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Labels, Mask
    from helicopter.backends.protocol import NoiseRun


__all__ = [
    "Moments",
    "action_for",
    "kinds_of",
    "level_function_of",
    "moments_of",
    "moments_of_segments",
    "noise_variance",
    "parameters_of",
    "priority_of",
    "variance_by_scale",
]

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


#: From this probability on a kind counts as found.
FOUND = 0.5
#: A standard deviation, as a share of the range, that goes unseen.
UNSEEN = 0.01
#: Compression of at least this quality leaves nothing to mend.
FINE_QUALITY = 90
#: Content below this share of the noise's variance is lost in it.
LOST = 0.1
#: The weights depend on the fit and the fit on the weights; this often suffices.
REWEIGHTINGS = 5


def kinds_of(run: NoiseRun) -> tuple[str, ...]:
    """Return the kinds that were found, the most probable first; see `NoiseAnalysis.kinds`."""
    found = [
        (-probability, number)
        for number, probability in enumerate(run.probabilities)
        if probability >= FOUND and NOISE_KINDS[number] != "clean"
    ]
    return tuple(NOISE_KINDS[number] for _, number in sorted(found)) or ("clean",)


def noise_variance(run: NoiseRun, kinds: tuple[str, ...], seen: Moments) -> float:
    """Return the variance of all noise found: fine, impulses and interference.

    An impulse replaces a pixel, so what it adds depends on what was there; that is taken from the
    image's own moments, after the impulses' share in these has been taken out.
    """
    total = float(run.fine.sigma) ** 2
    if "salt_pepper" in kinds:  # half of the values 0, half of them 1
        total += _replacing(run.salt_pepper_density, seen, mean=0.5, square=0.5)
    elif "impulse" in kinds:  # all values alike
        total += _replacing(run.impulse_density, seen, mean=0.5, square=1.0 / 3.0)
    if "periodic" in kinds:
        total += sum(wave.amplitude**2 for wave in run.waves) / 2.0
    return total


def _replacing(density: float, seen: Moments, mean: float, square: float) -> float:
    """Mean squared error where the share `density` of the pixels has values of these moments."""
    left = max(1.0 - density, 1e-3)
    true_mean = min(max((seen.mean - density * mean) / left, 0.0), 1.0)
    true_square = min(max((seen.square - density * square) / left, true_mean**2), 1.0)
    return density * max(true_square - 2.0 * mean * true_mean + square, 0.0)


def parameters_of(run: NoiseRun, units: float) -> KindParameters:
    """Return the parameters of every kind in the image's units; see `NoiseAnalysis.parameters`."""
    waves: list[dict[str, Any]] = []
    for wave in run.waves:
        rate = math.hypot(wave.frequency_y, wave.frequency_x)
        waves.append(
            {
                "frequency": (float(wave.frequency_y), float(wave.frequency_x)),
                "period": 1.0 / rate if rate > 0.0 else math.inf,
                "amplitude": float(wave.amplitude) * units,
                "phase": float(wave.phase),
            }
        )
    sigma = float(run.fine.sigma) * units
    return {
        "clean": {},
        "gaussian": {"sigma": sigma},
        "poisson": {"gain": float(run.gain) * units},
        "speckle": {"strength": float(run.speckle)},
        "uniform": {"sigma": sigma},
        "salt_pepper": {"density": float(run.salt_pepper_density)},
        "impulse": {"density": float(run.impulse_density)},
        "periodic": {
            "amplitude": math.sqrt(math.fsum(wave["amplitude"] ** 2 for wave in waves)),
            "components": waves,
        },
        "compression": {
            "quality": int(run.quality) or None,
            "grid": (int(run.grid[0]), int(run.grid[1])),
        },
    }


def level_function_of(points: NDArray[np.float64], low: float, units: float) -> NoiseLevelFunction:
    """Return the noise level function in the image's units, with its fit."""
    intensity, variance, weight = np.asarray(points, dtype=np.float64).reshape(-1, 3).T
    variance = np.maximum(variance, 0.0)
    a, b = _poisson_gaussian(intensity, variance, weight)
    return NoiseLevelFunction(
        intensity=low + units * intensity,
        sigma=units * np.sqrt(variance),
        weight=weight.copy(),
        a=a * units,
        b=b * units**2,
        black=low,
    )


def _poisson_gaussian(
    x: NDArray[np.float64], variance: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float, float]:
    """Fit variance = a x + b, neither below zero.

    A measured variance is as uncertain as it is large, so the weights are divided by the square of
    the fit, over and over.
    """
    if not x.size or not weight.sum() > 0.0:
        return 0.0, 0.0
    a, b = _non_negative_line(x, variance, weight)
    for _ in range(REWEIGHTINGS):
        fitted = a * x + b
        floor = 0.01 * float(fitted.max())
        if floor <= 0.0:
            break
        a, b = _non_negative_line(x, variance, weight / np.maximum(fitted, floor) ** 2)
    return a, b


def _non_negative_line(
    x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]
) -> tuple[float, float]:
    """Weighted least squares; with two unknowns the bounds can be tried one by one."""
    share = weight / weight.sum()
    mean_x, mean_y = float(share @ x), float(share @ y)
    spread = float(share @ (x - mean_x) ** 2)
    if spread > 1e-12:
        slope = float(share @ ((x - mean_x) * (y - mean_y))) / spread
        if slope >= 0.0 and mean_y - slope * mean_x >= 0.0:
            return slope, mean_y - slope * mean_x
        if slope > 0.0:  # a line through zero
            return float(share @ (x * y)) / float(share @ (x * x)), 0.0
    return 0.0, mean_y


def priority_of(content: float, noise: float) -> float:
    """Return how much of what can be seen is content; see `SegmentNoise.priority`."""
    content = max(content, 0.0)
    return content / (content + noise + UNSEEN**2)


def action_for(run: NoiseRun, kinds: tuple[str, ...], content: float, noise: float) -> NoiseAction:
    """Return what is recommended; see `SegmentNoise.action`."""
    if noise_level_name(run.fine.sigma) == "severe" and decibels(content, noise) < _DECIBELS_LOST:
        return "discard"
    if "salt_pepper" in kinds or "impulse" in kinds:
        return "median_filter"
    if "periodic" in kinds:
        return "notch_filter"
    if "compression" in kinds and run.quality < FINE_QUALITY:
        return "deblock"
    return "keep" if noise_level_name(math.sqrt(noise)) == "minimal" else "denoise"


_DECIBELS_LOST = decibels(LOST, 1.0)
