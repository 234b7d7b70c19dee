"""How strong a sinusoid is, where exactly, and whether all parts of the image agree on it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .bands import filter_gain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .bands import Band
    from .candidates import Candidate


__all__ = ["measure"]

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
