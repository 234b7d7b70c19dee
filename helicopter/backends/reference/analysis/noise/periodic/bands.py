"""Octave bands of an image, weighted so that calm places count: where sinusoids are searched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, ndimage

from .candidates import component, waves

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .candidates import Candidate


__all__ = ["Band", "Window", "filter_gain", "summed"]

#: Binomial filters: halving (its aliases are below 1 % up to a quarter) and smoothing.
HALVING = np.array([1, 5, 10, 10, 5, 1], dtype=np.float32) / np.float32(32)
SMOOTHING = np.array([1, 4, 6, 4, 1], dtype=np.float32) / np.float32(16)
#: Side of the blocks in which local power is measured, and the power that rounding leaves anyway.
BLOCK = 8
FLOOR = (0.3 / 255.0) ** 2
#: How much less saturated pixels count: the weight falls by (1 + SATURATION share)².
SATURATION = 50.0


@dataclass
class Band:
    """One octave of one window: signal times weight, weight, energy, power spectrum."""

    level: int
    offset: tuple[int, int]
    signal: NDArray[np.float32]
    weight: NDArray[np.float32]
    power: NDArray[np.float32]


@dataclass
class Window:
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
    ) -> Window:
        part = np.s_[offset[0] : offset[0] + shape[0], offset[1] : offset[1] + shape[1]]
        inside, counts = pixels[part], included[part]
        brightness = inside.mean(axis=2, dtype=np.float32)
        ends = (inside <= np.float32(0.5 / 255.0)) | (inside >= np.float32(254.5 / 255.0))
        ends &= counts[:, :, None]
        saturated = ends.mean(axis=2, dtype=np.float32) if ends.any() else None
        if counts.all():
            return cls(offset, brightness, None, saturated)
        fill = brightness[counts].mean(dtype=np.float64) if counts.any() else 0.0
        brightness = np.where(counts, brightness, np.float32(fill))
        return cls(offset, brightness, counts.astype(np.float32), saturated)

    def bands(self, known: list[Candidate], levels: int) -> list[Band]:
        """The octaves of what is left of the window without the known components."""
        components = tuple(component(each) for each in known)
        image = self.brightness - waves(components, self.offset, self.brightness.shape)
        included, saturated = self.included, self.saturated
        bands = []
        for level in range(levels):
            if level:
                image = _halved(_halved(image).T).T
                included = None if included is None else _pooled(included)
                saturated = None if saturated is None else _pooled(saturated)
            bands.append(_band(level, self.offset, image, included, saturated))
        return bands


def _halved(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every second row of the low-passed image; its row i lies between rows 2i and 2i + 1."""
    count = image.shape[0] // 2
    padded = np.pad(image, ((2, 2), (0, 0)), mode="edge")
    return summed([HALVING[k] * padded[k : k + 2 * count : 2] for k in range(6)])


def _pooled(share: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = share.shape[0] // 2, share.shape[1] // 2
    four = share[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
    return np.asarray(four.mean(axis=(1, 3), dtype=np.float32))


def summed(terms: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _smooth(image: NDArray[np.float32]) -> NDArray[np.float32]:
    count = image.shape[0]
    padded = np.pad(image, ((2, 2), (0, 0)), mode="edge")
    return summed([SMOOTHING[k] * padded[k : k + count] for k in range(5)])


def filter_gain(frequency: NDArray[np.float64], level: int) -> float:
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
) -> Band:
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
    # the least detailed tenth of the blocks must not decide alone: their line would be a broad one
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
    return Band(level, offset, signal, weight, power)


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
