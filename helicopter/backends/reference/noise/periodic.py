"""Periodic interference: sinusoids that run unchanged over the whole image.

Three things tell interference from texture. It is a line in the spectrum, far above the mean of its
surroundings; its amplitude and phase are the same in every part of the image; and it stands alone,
where a fence or a brick wall brings a family of harmonics. Images have most of their power at low
frequencies and are far calmer in some places than in others, so the spectrum is taken of octave
bands, high-passed and weighted by the inverse of their local power: a weak sinusoid is found where
the image leaves room for it. What was found is subtracted, and the search repeated on the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import fft, ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FEATURES", "SPECTRUM_SIDE", "Component", "Periodic", "find_periodic", "remove"]

#: What `Periodic.features` holds: the strongest candidate's measures, its log odds, the log odds of
#: the second, and what was accepted.
FEATURES: tuple[str, ...] = (
    "log_ratio",
    "log_spread",
    "agreement",
    "coherence",
    "log_amplitude",
    "concentration",
    "off_axis",
    "off_lattice",
    "log_frequency",
    "harmonics",
    "log_tiles",
    "score",
    "second_score",
    "accepted",
    "log_total_amplitude",
    "candidates",
)
#: Log odds of being interference, by the first eleven features (the amplitude's logarithm capped at
#: `LARGEST_LOG_AMPLITUDE`): a logistic regression on candidates of training photographs.
WEIGHTS = (0.278, -0.618, 6.129, 3.894, 1.845, 1.118, 2.443, -2.345, -1.294, -3.356, 0.797)
INTERCEPT = -19.658
LARGEST_LOG_AMPLITUDE = 3.0
#: Measures of an image without any candidate.
NOTHING = (0.0, 3.0, 0.0, 0.0, -6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
#: Log odds of a candidate that does not exist.
NO_SCORE = -20.0

#: Side of the spectrum that is handed back for plotting.
SPECTRUM_SIDE = 128
#: Images of at most so many pixels are searched in one window with sides up to `LONGEST`; larger
#: ones in windows of side `LARGEST`, about one per megapixel and `MOST_WINDOWS` at most.
WHOLE = 400_000
LONGEST = 768
LARGEST = 512
MOST_WINDOWS = 16
#: Shortest side of a window, and of its coarser levels.
LEAST = 16
LEAST_COARSE = 16
#: Octave bands, finest first: frequencies in cycles per pixel of that level, from and to. Together
#: they reach from a period of about 45 pixels to the finest.
BANDS = ((0.11, 0.75), (0.11, 0.25), (0.088, 0.25))
#: Binomial filters: halving (its aliases are below 1 % up to a quarter) and smoothing.
HALVING = np.array([1, 5, 10, 10, 5, 1], dtype=np.float32) / np.float32(32)
SMOOTHING = np.array([1, 4, 6, 4, 1], dtype=np.float32) / np.float32(16)
#: Side of the blocks in which local power is measured, and the power that rounding leaves anyway.
BLOCK = 8
FLOOR = (0.3 / 255.0) ** 2
#: How much less saturated pixels count: the weight falls by (1 + SATURATION share)².
SATURATION = 50.0
#: A peak must exceed the mean of its surroundings by this factor, or by what the highest of as many
#: exponential variates is expected to reach.
LEAST_RATIO = 8.0
MOST_CANDIDATES = 5
#: Two candidates within so many bins are one; what is left of a component reaches a bit farther.
SAME = 2.0
LEFTOVER = 2.5
#: Components below this share of the strongest are what clipping and rounding make of it.
LEAST_SHARE = 0.25
MIXTURES = ((1.0, 1.0), (1.0, -1.0), (2.0, 1.0), (2.0, -1.0), (1.0, 2.0), (1.0, -2.0))
PASSES = 3
#: Tiles up to this distance from the centre settle a frequency first, then those twice as far...
FIRST_REACH = 600.0


class Component(NamedTuple):
    """One sinusoid, amplitude * cos(2 pi (frequency_y y + frequency_x x) + phase)."""

    frequency_y: float
    frequency_x: float
    amplitude: float
    phase: float
    strength: float


@dataclass(frozen=True)
class Periodic:
    """The periodic interference of an image.

    Attributes
    ----------
    components
        Sinusoids, strongest first: frequencies in cycles per pixel (the vertical one is not
        negative), amplitude on the [0, 1] scale, phase at pixel (0, 0), and the probability that it
        is interference.
    features
        What a classifier needs to know; named in `FEATURES`.
    spectrum
        Decimal logarithm of the whitened power, zero frequency in the middle, for plotting.
    """

    components: tuple[Component, ...]
    features: NDArray[np.float64]
    spectrum: NDArray[np.float32]


@dataclass
class _Band:
    """One octave of one window: signal times weight, weight, energy, power spectrum."""

    level: int
    offset: tuple[int, int]
    signal: NDArray[np.float32]
    weight: NDArray[np.float32]
    power: NDArray[np.float32]


@dataclass
class _Candidate:
    """A peak of the spectrum, and what is known of it."""

    level: int
    frequency: NDArray[np.float64]
    ratio: float
    concentration: float
    phasor: complex = 0j
    harmonics: float = 0.0
    measures: tuple[float, ...] = NOTHING
    score: float = NO_SCORE


def find_periodic(pixels: NDArray[np.float32], included: NDArray[np.bool_]) -> Periodic:
    """Sinusoids that run over the whole image.

    Parameters
    ----------
    pixels
        Image of shape (H, W, C) in [0, 1].
    included
        Bool of shape (H, W): the pixels that count.
    """
    height, width = included.shape
    spectrum = np.zeros((SPECTRUM_SIDE, SPECTRUM_SIDE), dtype=np.float32)
    if min(height, width) < LEAST or not included.any():
        return Periodic((), _features([], []), spectrum)
    shape, offsets = _windows(height, width)
    windows = [_Window.cut(pixels, included, offset, shape) for offset in offsets]
    levels = 1
    while levels < len(BANDS) and min(shape) >> levels >= LEAST_COARSE:
        levels += 1

    accepted: list[_Candidate] = []
    features = np.zeros(len(FEATURES))
    for number in range(PASSES):
        bands = [window.bands(accepted, levels) for window in windows]
        power = [_sum([band[level].power for band in bands]) for level in range(levels)]
        for old in accepted:
            _measure(old, [band[old.level] for band in bands], shape)
        accepted = [old for old in accepted if old.score > 0.0]
        found = _new_candidates(power, bands, accepted, shape)
        new = _strong([each for each in found if each.score > 0.0], accepted, shape)
        accepted = accepted + new
        if number == 0:
            spectrum = _thumbnail(power[0], shape)
            features = _features(found, accepted)
        if not accepted or (number > 0 and not new):
            break
    components = sorted((_component(each) for each in accepted), key=lambda each: -each.amplitude)
    features[FEATURES.index("accepted")] = len(components)
    total = math.sqrt(sum(each.amplitude**2 for each in components))
    features[FEATURES.index("log_total_amplitude")] = math.log(255.0 * total + 1e-3)
    return Periodic(tuple(components), features, spectrum)


def remove(pixels: NDArray[np.float32], components: tuple[Component, ...]) -> NDArray[np.float32]:
    """The image less the sinusoids, in every channel alike; not cut to [0, 1]."""
    height, width = pixels.shape[:2]
    wave = _wave(components, (0, 0), (height, width))
    return np.asarray(pixels - wave[:, :, None], dtype=np.float32)


def _wave(
    components: tuple[Component, ...], offset: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.float32]:
    wave = np.zeros(shape, dtype=np.float32)
    for fy, fx, amplitude, phase, _ in components:
        y = np.exp(1j * (2 * np.pi * fy * (offset[0] + np.arange(shape[0])) + phase))
        x = np.exp(2j * np.pi * fx * (offset[1] + np.arange(shape[1])))
        wave += (amplitude * np.outer(y, x).real).astype(np.float32)
    return wave


@dataclass
class _Window:
    """A piece of the image: its brightness, and which pixels are excluded or saturated, if any."""

    offset: tuple[int, int]
    brightness: NDArray[np.float32]
    included: NDArray[np.float32] | None
    saturated: NDArray[np.float32] | None

    @classmethod
    def cut(
        cls,
        pixels: NDArray[np.float32],
        included: NDArray[np.bool_],
        offset: tuple[int, int],
        shape: tuple[int, int],
    ) -> _Window:
        part = np.s_[offset[0] : offset[0] + shape[0], offset[1] : offset[1] + shape[1]]
        inside, counts = pixels[part], included[part]
        brightness = inside.mean(axis=2, dtype=np.float32)
        ends = (inside <= np.float32(0.5 / 255.0)) | (inside >= np.float32(254.5 / 255.0))
        saturated = ends.mean(axis=2, dtype=np.float32) if ends.any() else None
        if counts.all():
            return cls(offset, brightness, None, saturated)
        fill = brightness[counts].mean(dtype=np.float64) if counts.any() else 0.0
        brightness = np.where(counts, brightness, np.float32(fill))
        return cls(offset, brightness, counts.astype(np.float32), saturated)

    def bands(self, known: list[_Candidate], levels: int) -> list[_Band]:
        """The octaves of what is left of the window without the known components."""
        components = tuple(_component(each) for each in known)
        image = self.brightness - _wave(components, self.offset, self.brightness.shape)
        included, saturated = self.included, self.saturated
        bands = []
        for level in range(levels):
            if level:
                image = _halved(_halved(image).T).T
                included = None if included is None else _pooled(included)
                saturated = None if saturated is None else _pooled(saturated)
            bands.append(_band(level, self.offset, image, included, saturated))
        return bands


def _windows(height: int, width: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Shape and places of the windows that are searched."""
    longest = LONGEST if height * width <= WHOLE else LARGEST
    shape = _handy(min(height, longest)), _handy(min(width, longest))
    count = min(max((height * width + 500_000) // 1_000_000, 1), MOST_WINDOWS)
    rows = min(max(math.floor(math.sqrt(count * height / width) + 0.5), 1), -(-height // shape[0]))
    columns = min(max(count // rows, 1), -(-width // shape[1]))

    def places(size: int, side: int, number: int) -> list[int]:
        if number == 1:
            return [(size - side) // 2]
        return [(size - side) * i // (number - 1) for i in range(number)]

    tops, lefts = places(height, shape[0], rows), places(width, shape[1], columns)
    return shape, [(top, left) for top in tops for left in lefts]


def _handy(side: int) -> int:
    """The largest multiple of 8 not above `side` (at least 16) that is quick to transform."""
    side -= side % 8
    while True:
        rest = side
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return side
        side -= 8


def _halved(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every second row of the low-passed image; its row i lies between rows 2i and 2i + 1."""
    count = image.shape[0] // 2
    padded = np.pad(image, ((2, 2), (0, 0)), mode="edge")
    return _sum([HALVING[k] * padded[k : k + 2 * count : 2] for k in range(6)])


def _pooled(share: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = share.shape[0] // 2, share.shape[1] // 2
    four = share[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
    return np.asarray(four.mean(axis=(1, 3), dtype=np.float32))


def _sum(terms: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _smooth(image: NDArray[np.float32]) -> NDArray[np.float32]:
    count = image.shape[0]
    padded = np.pad(image, ((2, 2), (0, 0)), mode="edge")
    return _sum([SMOOTHING[k] * padded[k : k + count] for k in range(5)])


def _gain(frequency: NDArray[np.float64], level: int) -> float:
    """What the filters leave of an amplitude."""
    cosines = [
        math.cos(math.pi * frequency[0] * 2**step) * math.cos(math.pi * frequency[1] * 2**step)
        for step in range(level + 1)
    ]
    return float(math.prod(cosines[:-1]) ** 5 * (1.0 - cosines[-1] ** 4))


def _band(
    level: int,
    offset: tuple[int, int],
    image: NDArray[np.float32],
    included: NDArray[np.float32] | None,
    saturated: NDArray[np.float32] | None,
) -> _Band:
    high = image - _smooth(_smooth(image).T).T
    if included is not None:
        high = high * included
    edges = [_block_edges(side) for side in image.shape]
    energy = _near(_block_means(high * high, edges))
    weights = np.ones_like(energy)
    if included is not None:
        share = _block_means(included, edges)
        energy = energy / np.maximum(_near(share), 0.05)
        weights = share**2
    if saturated is not None:
        weights = weights / (1.0 + SATURATION * _block_means(saturated, edges)) ** 2
    # the calmest tenth of the blocks must not decide alone: their line would be a broad one
    calm = np.sort(energy, axis=None)[energy.size // 10]
    weights = weights * FLOOR / (np.maximum(energy, calm) + FLOOR)
    rows, columns = _between(edges[0]), _between(edges[1])
    weight = rows @ (weights.astype(np.float32) @ columns.T)
    if included is not None:
        weight = weight * included
    signal = high * weight
    window = np.outer(_hann(image.shape[0]), _hann(image.shape[1]))
    transform = fft.rfft2(signal * window)
    expected = float(np.sum(weight * window * window, dtype=np.float64)) * FLOOR + 1e-30
    power = (transform.real**2 + transform.imag**2) * np.float32(1.0 / expected)
    return _Band(level, offset, signal, weight, power)


def _block_edges(side: int) -> NDArray[np.int64]:
    count = max(side // BLOCK, 2)
    return np.arange(count + 1) * side // count


def _block_means(image: NDArray[np.float32], edges: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    sums = np.add.reduceat(image.astype(np.float64), edges[0][:-1], axis=0)
    sums = np.add.reduceat(sums, edges[1][:-1], axis=1)
    return np.asarray(sums / np.outer(np.diff(edges[0]), np.diff(edges[1])))


def _near(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each block and its eight neighbours."""
    return np.asarray(ndimage.uniform_filter(values, 3, mode="nearest"))


def _between(edges: NDArray[np.int64]) -> NDArray[np.float32]:
    """Matrix that interpolates from the centres of blocks to pixels."""
    centres = (edges[:-1] + edges[1:] - 1) / 2.0
    place = np.arange(edges[-1])
    left = np.clip(np.searchsorted(centres, place, side="right") - 1, 0, len(centres) - 2)
    share = np.clip((place - centres[left]) / (centres[left + 1] - centres[left]), 0.0, 1.0)
    matrix = np.zeros((len(place), len(centres)), dtype=np.float32)
    matrix[place, left] = 1.0 - share
    matrix[place, left + 1] = share
    return matrix


def _hann(side: int) -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(side) + 0.5) / side)).astype(np.float32)


def _new_candidates(
    power: list[NDArray[np.float32]],
    bands: list[list[_Band]],
    known: list[_Candidate],
    shape: tuple[int, int],
) -> list[_Candidate]:
    """Peaks of all octaves, the highest ratio first, each measured."""
    peaks = []
    for level, spectrum in enumerate(power):
        peaks += _peaks(spectrum, level, bands[0][level].signal.shape)
    peaks.sort(key=lambda peak: -peak.ratio)
    found: list[_Candidate] = []
    for peak in peaks:
        taken = any(_apart(peak, old, shape) < LEFTOVER for old in known)
        taken = taken or any(_apart(peak, other, shape) < SAME for other in found)
        if not taken:
            found.append(peak)
    for peak in found:
        peak.harmonics = min(sum(_related(peak, other, shape) for other in found), 2.0)
        _measure(peak, [band[peak.level] for band in bands], shape)
    return found


def _strong(
    new: list[_Candidate], known: list[_Candidate], shape: tuple[int, int]
) -> list[_Candidate]:
    """Those that are not what clipping makes of stronger ones: weak, or at sums of frequencies."""
    kept: list[_Candidate] = []
    for candidate in sorted(new, key=lambda each: -abs(each.phasor)):
        others = known + kept
        top = max((abs(each.phasor) for each in others), default=0.0)
        weak = abs(candidate.phasor) < LEAST_SHARE * top
        if not weak and not _is_mixed(candidate, others, shape):
            kept.append(candidate)
    return kept


def _is_mixed(candidate: _Candidate, others: list[_Candidate], shape: tuple[int, int]) -> bool:
    stronger = [each.frequency for each in others if abs(each.phasor) > abs(candidate.phasor)]
    sums = [factor * each for each in stronger for factor in (2.0, 3.0)]
    for number, one in enumerate(stronger):
        for other in stronger[:number]:
            sums += [m * one + n * other for m, n in MIXTURES]
    return any(_bins(candidate.frequency, each, shape) < SAME for each in sums)


def _peaks(power: NDArray[np.float32], level: int, shape: tuple[int, int]) -> list[_Candidate]:
    rows, columns = shape
    outer, inner = (8, 3) if min(rows, columns) >= 64 else (4, 2)
    wide = _with_margins(power, columns, outer)
    cut = outer - inner
    ring = _box_sums(wide, outer) - _box_sums(wide[:, cut : wide.shape[1] - cut], inner)
    around = ring / ((2 * outer + 1) ** 2 - (2 * inner + 1) ** 2)
    ratio = power / (around + 1e-3)
    bins = np.arange(rows)
    fy = (np.where(2 * bins > rows, bins - rows, bins) / rows)[:, None]
    fx = (np.arange(columns // 2 + 1) / columns)[None, :]
    low, high = BANDS[level]
    least = max(LEAST_RATIO, math.log(rows * columns / 2))
    norm = fy * fy + fx * fx
    eligible = (ratio > least) & (norm >= low * low) & (norm < high * high) & ((fx > 0) | (fy > 0))
    peaks = []
    for y, x in zip(*np.nonzero(eligible), strict=True):
        near = wide[np.arange(y - 2, y + 3) % rows, x + outer - 2 : x + outer + 3]
        if near[2, 2] < near.max():
            continue
        shift_y, shift_x = _vertex(near[1:4, 2]), _vertex(near[2, 1:4])
        signed = y - rows if 2 * y > rows else y
        frequency = np.array([(signed + shift_y) / rows, (x + shift_x) / columns]) / 2**level
        share = float(near[1:4, 1:4].sum(dtype=np.float64) / near.sum(dtype=np.float64))
        peaks.append(_Candidate(level, frequency, float(ratio[y, x]), share))
    peaks.sort(key=lambda peak: -peak.ratio)
    return peaks[:MOST_CANDIDATES]


def _with_margins(power: NDArray[np.float32], columns: int, margin: int) -> NDArray[np.float32]:
    """The half spectrum with columns of the other half on either side (a real image's mirror)."""
    mirrored = power[-np.arange(power.shape[0]) % power.shape[0]]
    beyond = columns - np.arange(power.shape[1], power.shape[1] + margin)
    return np.concatenate([mirrored[:, margin:0:-1], power, mirrored[:, beyond]], axis=1)


def _box_sums(values: NDArray[np.float32], reach: int) -> NDArray[np.float64]:
    """Sums over squares; rows are cyclic, of columns only those with a whole square are kept."""
    cyclic = np.concatenate([values[-reach:], values, values[:reach]], axis=0).astype(np.float64)
    for _ in range(2):
        sums = np.cumsum(np.pad(cyclic, ((1, 0), (0, 0))), axis=0)
        cyclic = (sums[2 * reach + 1 :] - sums[: -2 * reach - 1]).T
    return cyclic


def _vertex(three: NDArray[np.float32]) -> float:
    """Where the parabola through three logarithms has its top, at most half a bin away."""
    a, b, c = (math.log(float(value) + 1e-30) for value in three)
    bend = a - 2.0 * b + c
    return 0.0 if bend >= 0.0 else min(max(0.5 * (a - c) / bend, -0.5), 0.5)


def _apart(one: _Candidate, other: _Candidate, shape: tuple[int, int]) -> float:
    """Distance of two frequencies in bins of the window."""
    return _bins(one.frequency, other.frequency, shape)


def _related(one: _Candidate, other: _Candidate, shape: tuple[int, int]) -> int:
    """Whether one is a harmonic of the other."""
    pairs = ((one, other), (other, one))
    return int(
        any(
            _bins(factor * low.frequency, high.frequency, shape) < 1.5
            for low, high in pairs
            for factor in (2, 3, 4, 5)
        )
    )


def _bins(one: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, int]) -> float:
    return float(
        min(
            max(abs(one[0] - sign * other[0]) * shape[0], abs(one[1] - sign * other[1]) * shape[1])
            for sign in (1.0, -1.0)
        )
    )


def _measure(candidate: _Candidate, bands: list[_Band], shape: tuple[int, int]) -> None:
    """Frequency, amplitude and phase from tiles over the image, and how well the tiles agree."""
    frequency, level = candidate.frequency, candidate.level
    tiles, weights, places = (
        np.concatenate(parts)
        for parts in zip(*(_demodulated(band, frequency) for band in bands), strict=True)
    )
    # of a component that is known and subtracted, only the rest is seen: put it back
    tiles = tiles + candidate.phasor * 0.5 * _gain(frequency, level) * weights
    frequency, tiles = _refined(frequency, tiles, places, bands, shape)
    mean = complex(tiles.sum()) / max(float(weights.sum()), 1e-30)
    gain = _gain(frequency, level)
    candidate.frequency = frequency
    candidate.phasor = 2.0 * mean / gain

    size = max(abs(mean) ** 2, 1e-30)
    spread = float(np.sum(np.abs(tiles - mean * weights) ** 2)) / max(
        size * float(np.sum(weights**2)), 1e-30
    )
    along = (tiles * mean.conjugate()).real / size
    agreement = float(weights[along > 0.5 * weights].sum()) / max(float(weights.sum()), 1e-30)
    coherence = abs(complex(tiles.sum())) / max(float(np.abs(tiles).sum()), 1e-30)
    off_axis = min(abs(frequency[0]) * shape[0], abs(frequency[1]) * shape[1])
    lattice = np.abs(8.0 * frequency - np.floor(8.0 * frequency + 0.5)) / 8.0
    candidate.measures = (
        math.log(candidate.ratio),
        math.log(spread + 1e-6),
        agreement,
        coherence,
        math.log(255.0 * abs(candidate.phasor) + 1e-3),
        candidate.concentration,
        min(float(off_axis), 4.0) / 4.0,
        min(max(float(lattice[0]) * shape[0], float(lattice[1]) * shape[1]), 4.0) / 4.0,
        math.log(math.hypot(frequency[0], frequency[1])),
        candidate.harmonics,
        math.log(len(weights)),
    )
    capped = list(candidate.measures)
    capped[4] = min(capped[4], LARGEST_LOG_AMPLITUDE)
    candidate.score = INTERCEPT + math.fsum(w * m for w, m in zip(WEIGHTS, capped, strict=True))


def _demodulated(
    band: _Band, frequency: NDArray[np.float64]
) -> tuple[NDArray[np.complex128], NDArray[np.float64], NDArray[np.float64]]:
    """Sums of the signal over overlapping tiles, turned to frequency zero; weights and centres."""
    sides = []
    for axis in range(2):
        tiles, centres, positions = _tiles(band.signal.shape[axis], band.level, band.offset[axis])
        sides.append((tiles, centres, np.exp(-2j * np.pi * frequency[axis] * positions)))
    (rows, cy, turn_y), (columns, cx, turn_x) = sides
    sums = (rows * turn_y) @ (band.signal @ (columns * turn_x).T)
    weights = rows @ band.weight @ columns.T
    places = np.stack(np.meshgrid(cy, cx, indexing="ij"), axis=-1).reshape(-1, 2)
    return sums.ravel(), weights.ravel(), places


def _tiles(
    side: int, level: int, offset: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Hann windows of overlapping tiles, their centres and all positions in pixels of the image."""
    count = 7 if side >= 128 else 3
    hop = side // (count + 1)
    bell = 0.5 - 0.5 * np.cos(np.pi * (np.arange(2 * hop) + 0.5) / hop)
    windows = np.zeros((count, side))
    for tile in range(count):
        windows[tile, tile * hop : (tile + 2) * hop] = bell
    step = 2**level
    start = offset + (step - 1) / 2.0
    centres = start + step * (np.arange(1, count + 1) * hop - 0.5)
    return windows, centres, start + step * np.arange(side)


def _refined(
    frequency: NDArray[np.float64],
    tiles: NDArray[np.complex128],
    places: NDArray[np.float64],
    bands: list[_Band],
    shape: tuple[int, int],
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Follow the slope of the tiles' phases, first near the centre, then farther out."""
    middle = np.array(bands[len(bands) // 2].offset) + np.array(shape) / 2.0
    distances = np.sqrt(np.sum((places - middle) ** 2, axis=1))
    farthest = float(distances.max())
    limit = np.pi / np.array(shape)
    reach = FIRST_REACH
    while True:
        near = distances <= max(reach, float(distances.min()))
        for _ in range(4 if reach == FIRST_REACH else 2):
            slope = np.clip(_phase_slope(tiles[near], places[near]), -limit, limit)
            frequency = frequency + slope / (2 * np.pi)
            tiles = tiles * np.exp(-1j * (places @ slope))
        if reach >= farthest:
            return frequency, tiles
        reach *= 2.0


def _phase_slope(tiles: NDArray[np.complex128], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted least squares of the phases over the places, in radians per pixel."""
    phase = np.angle(tiles * np.conj(tiles.sum()))
    # what points the other way says nothing of a slope, and would make it jump where phases wrap
    size = np.abs(tiles) * np.maximum(np.cos(phase), 0.0) ** 2
    total = float(size.sum())
    if total <= 0.0:
        return np.zeros(2)
    offset = places - size @ places / total
    rest = phase - float(size @ phase) / total
    square = (offset * size[:, None]).T @ offset
    right = (size * rest) @ offset
    determinant = square[0, 0] * square[1, 1] - square[0, 1] ** 2
    if determinant <= 1e-9 * square[0, 0] * square[1, 1]:
        return np.zeros(2)
    return np.asarray(
        [
            (square[1, 1] * right[0] - square[0, 1] * right[1]) / determinant,
            (square[0, 0] * right[1] - square[0, 1] * right[0]) / determinant,
        ]
    )


def _component(candidate: _Candidate) -> Component:
    fy, fx = (float(value) for value in candidate.frequency)
    phase = math.atan2(candidate.phasor.imag, candidate.phasor.real)
    if fy < 0.0 or (fy == 0.0 and fx < 0.0):
        fy, fx, phase = -fy, -fx, -phase
    strength = 1.0 / (1.0 + math.exp(-candidate.score))
    return Component(fy, fx, abs(candidate.phasor), phase, strength)


def _features(found: list[_Candidate], accepted: list[_Candidate]) -> NDArray[np.float64]:
    scores = sorted((each.score for each in found), reverse=True)
    best = max(found, key=lambda each: each.score, default=None)
    measures = NOTHING if best is None else best.measures
    scores += [NO_SCORE, NO_SCORE]
    return np.array([*measures, *scores[:2], len(accepted), math.log(1e-3), len(found)])


def _thumbnail(power: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """The whole spectrum in `SPECTRUM_SIDE`² cells, each the mean of the bins in it."""
    rows, columns = shape
    mirrored = power[-np.arange(rows) % rows][:, (columns - 1) // 2 : 0 : -1]
    whole = fft.fftshift(np.concatenate([power, mirrored], axis=1)).astype(np.float64)
    sums = np.pad(np.cumsum(np.cumsum(whole, axis=0), axis=1), ((1, 0), (1, 0)))
    (y0, y1), (x0, x1) = (_cells(side) for side in (rows, columns))
    total = sums[y1][:, x1] - sums[y0][:, x1] - sums[y1][:, x0] + sums[y0][:, x0]
    means = np.maximum(total, 0.0) / np.outer(y1 - y0, x1 - x0)
    return np.log10(means + 1e-3).astype(np.float32)


def _cells(side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    start = np.arange(SPECTRUM_SIDE) * side // SPECTRUM_SIDE
    return start, np.maximum(np.arange(1, SPECTRUM_SIDE + 1) * side // SPECTRUM_SIDE, start + 1)
