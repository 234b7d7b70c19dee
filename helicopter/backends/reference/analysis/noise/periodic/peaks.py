"""Peaks of a spectrum far above their surroundings: which are kept, and how strong they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .bands import filter_gain
from .candidates import Candidate, bins_apart, descending

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .bands import Band


__all__ = [
    "BANDS",
    "measure",
    "new_candidates",
    "strong",
]

#: Log odds of being interference, by the first eleven features (the amplitude's logarithm capped at
#: `LARGEST_LOG_AMPLITUDE`): a logistic regression on candidates of training photographs.
WEIGHTS = (0.278, -0.618, 6.129, 3.894, 1.845, 1.118, 2.443, -2.345, -1.294, -3.356, 0.797)
INTERCEPT = -19.658
LARGEST_LOG_AMPLITUDE = 3.0
#: Tiles up to this distance from the centre settle a frequency first, then those twice as far...
FIRST_REACH = 600.0


def measure(candidate: Candidate, bands: list[Band], shape: tuple[int, int]) -> None:
    """Frequency, amplitude and phase from tiles over the image, and how well the tiles agree."""
    frequency, level = candidate.frequency, candidate.level
    tiles, weights, places = (
        np.concatenate(parts)
        for parts in zip(*(_demodulated(band, frequency) for band in bands), strict=True)
    )
    # of a component that is known and subtracted, only the rest is seen: put it back
    tiles = tiles + candidate.phasor * 0.5 * filter_gain(frequency, level) * weights
    frequency, tiles = _refined(frequency, tiles, places, bands, shape)
    mean = complex(tiles.sum()) / max(float(weights.sum()), 1e-30)
    gain = filter_gain(frequency, level)
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
    band: Band, frequency: NDArray[np.float64]
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
    bands: list[Band],
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


#: Octave bands, finest first: frequencies in cycles per pixel of that level, from and to. Together
#: they reach from a period of about 45 pixels to the finest.
BANDS = ((0.11, 0.75), (0.11, 0.25), (0.088, 0.25))
#: A peak must exceed the mean of its surroundings by this factor, or by what the highest of as many
#: exponential variates is expected to reach.
LEAST_RATIO = 8.0
MOST_CANDIDATES = 5
#: Two candidates within so many bins are one; what is left of a component reaches a bit farther.
SAME = 2.0
LEFTOVER = 2.5
#: Components below this share of the strongest are what clipping and rounding make of it.
LEAST_SHARE = 0.25
#: How many times as strong a component is that others can be a consequence of.
STRONGER = 1.01
MIXTURES = ((1.0, 1.0), (1.0, -1.0), (2.0, 1.0), (2.0, -1.0), (1.0, 2.0), (1.0, -2.0))


def new_candidates(
    power: list[NDArray[np.float32]],
    bands: list[list[Band]],
    known: list[Candidate],
    shape: tuple[int, int],
) -> list[Candidate]:
    """Peaks of all octaves, the highest ratio first, each measured."""
    peaks = []
    for level, spectrum in enumerate(power):
        peaks += _peaks(spectrum, level, bands[0][level].signal.shape)
    peaks.sort(key=lambda peak: descending(peak.ratio, peak))
    found: list[Candidate] = []
    for peak in peaks:
        taken = any(_apart(peak, old, shape) < LEFTOVER for old in known)
        taken = taken or any(_apart(peak, other, shape) < SAME for other in found)
        if not taken:
            found.append(peak)
    # all of them before any is measured, which moves its frequency: no order must matter
    for peak in found:
        peak.harmonics = min(sum(_related(peak, other, shape) for other in found), 2.0)
    for peak in found:
        measure(peak, [band[peak.level] for band in bands], shape)
    return found


def strong(new: list[Candidate], known: list[Candidate], shape: tuple[int, int]) -> list[Candidate]:
    """Those that are not what clipping makes of stronger ones: weak, or at sums of frequencies."""
    kept: list[Candidate] = []
    for candidate in sorted(new, key=lambda each: descending(abs(each.phasor), each)):
        others = known + kept
        top = max((abs(each.phasor) for each in others), default=0.0)
        weak = abs(candidate.phasor) < LEAST_SHARE * top
        if not weak and not _is_mixed(candidate, others, shape):
            kept.append(candidate)
    return kept


def _is_mixed(candidate: Candidate, others: list[Candidate], shape: tuple[int, int]) -> bool:
    least = STRONGER * abs(candidate.phasor)
    stronger = [each.frequency for each in others if abs(each.phasor) > least]
    sums = [factor * each for each in stronger for factor in (2.0, 3.0)]
    for number, one in enumerate(stronger):
        for other in stronger[:number]:
            sums += [m * one + n * other for m, n in MIXTURES]
    return any(bins_apart(candidate.frequency, each, shape) < SAME for each in sums)


def _peaks(power: NDArray[np.float32], level: int, shape: tuple[int, int]) -> list[Candidate]:
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
    # two columns mirror themselves: half of each is enough
    single = ((fx > 0) | (fy > 0)) & ((2 * fx < 1) | (fy >= 0))
    eligible = (ratio > least) & (norm >= low * low) & (norm < high * high) & single
    peaks = []
    for y, x in zip(*np.nonzero(eligible), strict=True):
        near = wide[np.arange(y - 2, y + 3) % rows, x + outer - 2 : x + outer + 3]
        if near[2, 2] < near.max():
            continue
        shift_y, shift_x = _vertex(near[1:4, 2]), _vertex(near[2, 1:4])
        signed = y - rows if 2 * y > rows else y
        frequency = np.array([(signed + shift_y) / rows, (x + shift_x) / columns]) / 2**level
        share = float(near[1:4, 1:4].sum(dtype=np.float64) / near.sum(dtype=np.float64))
        place = level, int(y), int(x)
        peaks.append(Candidate(level, frequency, float(ratio[y, x]), share, place))
    peaks.sort(key=lambda peak: descending(peak.ratio, peak))
    return peaks[:MOST_CANDIDATES]


def _with_margins(power: NDArray[np.float32], columns: int, margin: int) -> NDArray[np.float32]:
    """The half spectrum with columns of the other half on either side (a real image's mirror)."""
    mirrored = power[-np.arange(power.shape[0]) % power.shape[0]]
    beyond = columns - np.arange(power.shape[1], power.shape[1] + margin)
    wide = np.concatenate([mirrored[:, margin:0:-1], power, mirrored[:, beyond]], axis=1)
    # mirrored values of the same column must be equal to the bit, not just nearly
    negative = 2 * np.arange(power.shape[0]) > power.shape[0]
    for column in (0, columns // 2):
        wide[negative, margin + column] = mirrored[negative, column]
    return wide


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


def _apart(one: Candidate, other: Candidate, shape: tuple[int, int]) -> float:
    """Distance of two frequencies in bins of the window."""
    return bins_apart(one.frequency, other.frequency, shape)


def _related(one: Candidate, other: Candidate, shape: tuple[int, int]) -> int:
    """Whether one is a harmonic of the other."""
    pairs = ((one, other), (other, one))
    return int(
        any(
            bins_apart(factor * low.frequency, high.frequency, shape) < 1.5
            for low, high in pairs
            for factor in (2, 3, 4, 5)
        )
    )
