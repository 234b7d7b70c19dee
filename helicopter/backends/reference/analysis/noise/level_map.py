"""Where the noise is: what the blocks of each neighbourhood say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter1d

from .block_features import noise_energy
from .blocks import SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Map
    from helicopter.models._noise import NoiseModel

    from .block_features import BlockFeatures

__all__ = ["level_map"]

#: Half the sides of the neighbourhoods in pixels: first a wide one, then a near one that goes
#: beyond it as far as its own block_features are to be trusted.
REACHES = (64, 16)
#: Variance (in squared levels) that is as good as none.
NOTHING = 1e-6


def level_map(
    of_blocks: BlockFeatures, sigma: float, shape: tuple[int, int], model: NoiseModel
) -> Map:
    """Return the noise's standard deviation at every pixel; its mean square is that of `sigma`."""
    blocks = of_blocks.blocks
    weight = of_blocks.share[:, 0].reshape(blocks.lattice) * of_blocks.share.shape[0]
    value = weight * noise_energy(blocks).reshape(blocks.lattice)
    estimate = np.full(blocks.lattice, value.sum() / (weight.sum() + 1e-6))
    for reach, shrink in zip(REACHES, model.map_shrink, strict=True):
        reaches = (reach // blocks.stride[0], reach // blocks.stride[1])
        mass, total = _pyramid(weight, reaches), _pyramid(value, reaches)
        estimate = (total + shrink * estimate) / (mass + shrink)
    # what is added keeps the rounding of an image without noise from being scaled up
    lattice = sigma * np.sqrt((estimate + NOTHING) / (estimate.mean() + NOTHING))
    first, second, part = _between(shape[0], blocks.lattice[0], blocks.stride[0])
    rows = lattice[first] + (lattice[second] - lattice[first]) * part[:, None]
    rows = rows.astype(np.float32)
    first, second, part = _between(shape[1], blocks.lattice[1], blocks.stride[1])
    return np.asarray(rows[:, first] + (rows[:, second] - rows[:, first]) * part)


def _pyramid(values: NDArray[np.float64], reaches: tuple[int, int]) -> NDArray[np.float64]:
    """Means over rectangles, twice; what lies outside counts as nothing."""
    for _ in range(2):
        for axis, reach in enumerate(reaches):
            size = 2 * min(reach, values.shape[axis] - 1) + 1
            values = uniform_filter1d(values, size, axis=axis, mode="constant")
    return np.maximum(values, 0)  # a running sum can fall below zero by rounding


def _between(
    side: int, blocks: int, stride: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """The blocks before and behind each pixel of a side, and how far between them it lies."""
    centre = (SIDE - 1) / 2
    place = np.clip((np.arange(side, dtype=np.float32) - centre) / stride, 0, blocks - 1)
    first = place.astype(np.intp)
    return first, np.minimum(first + 1, blocks - 1), (place - first).astype(np.float32)
