"""What the blocks say together: weighted means over all of them, and the low-detail ones alone.

A small network looks at one block at a time, on the scale of a first rough estimate of the noise,
and gives it a weight for each of several heads (attention that sees nothing but the block's own
energies). The weighted means are the features from which `answers` concludes.

Blocks are put in the order of their low frequencies, and the high frequencies of the first of them
are looked at (Ponomarenko et al., "An automatic approach to lossy compression of AVIRIS images",
IGARSS 2007). The order comes from a histogram, into which each block is put between two bins, so
that no block more or less makes a jump.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .blocks import BAND_SHARE, SIDE, measure_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Mask
    from helicopter.models._noise import BlockNetwork

    from .blocks import Blocks


__all__ = [
    "BINS",
    "BlockFeatures",
    "by_intensity",
    "extract_features",
    "low_detail",
    "noise_energy",
    "reference_variance",
]

BINS = 8
#: The image itself, and copies of half and a quarter of its size.
LEVELS = 3
#: Heads that the level function and the smaller copies are looked at with.
FEW_HEADS = 2
#: More blocks than this are as good as this many.
MANY = 16384


@dataclass(frozen=True)
class BlockFeatures:
    """Features of an image's fine noise, and what is needed to draw its map.

    Attributes
    ----------
    values : float64 ndarray
    reference_variance : float
        Variance of the blocks with the least detail, in squared levels; answers are relative to it.
    unit : float
        Levels per unit of intensity of the image.
    blocks : Blocks
    share : float64 ndarray of shape (N, heads)
        The blocks' weights, which add up to one for each head.
    """

    values: NDArray[np.float64]
    reference_variance: float
    unit: float
    blocks: Blocks
    share: NDArray[np.float64]


def extract_features(
    image: Image, included: Mask, quantum: float, network: BlockNetwork
) -> BlockFeatures | None:
    """Measure all blocks of an image on the [0, 1] scale; None if none of them can be measured."""
    values = image[included]
    if values.size == 0 or min(image.shape[:2]) < SIDE:
        return None
    # the brightest pixel becomes 255, whatever the exposure
    unit = np.float32(255) / max(values.max(), np.float32(1e-6))
    levels = image * unit
    low, high = values.min() * unit, values.max() * unit
    step = quantum * float(unit)
    blocks = measure_blocks(levels, included, low, high, copy=False)
    if not blocks.valid.any():
        return None
    base = _base(blocks, step)
    weights = network.weigh(_seen(blocks, base, low, high)) * blocks.valid[:, None]
    total = weights.sum(axis=0) + 1e-9
    share = weights / total
    valid = int(np.count_nonzero(blocks.valid))
    parts = [
        _pool(share, blocks, base),
        np.log(np.maximum(np.square(share).sum(axis=0), 1 / MANY)) / 10,
        share.T @ blocks.mean.mean(axis=1) / 255,
        share.T @ blocks.clipped,
        np.log(total / valid + 1e-6),
        _kurtosis(share, blocks),
        *_levels_of_bins(share, blocks, base),
    ]
    smaller, inside, fraction = levels, included, step
    for _ in range(1, LEVELS):
        if min(smaller.shape[:2]) < 2 * SIDE:
            parts.append(np.zeros(FEW_HEADS * 6 * image.shape[2] + 2))
            smaller = smaller[:SIDE, :SIDE]
            continue
        smaller, inside, fraction = _halve(smaller), _halve_mask(inside), fraction / 2
        coarse = measure_blocks(smaller, inside, low, high, copy=True)
        rough = _base(coarse, fraction)
        seen = _seen(coarse, rough, low, high)
        weights = network.weigh(seen, FEW_HEADS) * coarse.valid[:, None]
        pooled = _pool(weights / (weights.sum(axis=0) + 1e-9), coarse, base, cross=False)
        parts += [pooled, np.array([np.log(rough / base), 1.0])]
    others = [
        np.log(base) / 2,
        min(np.log(base / (step**2 + 1e-3)), 12) / 2,
        np.log(min(valid, MANY) + 1.0) / 10,
        1 - valid / len(blocks.valid),
        blocks.clipped.mean(dtype=np.float64),
        low / 255,
    ]
    least = low_detail(blocks, base)
    features = np.concatenate([np.reshape(part, -1) for part in [*parts, others, least]])
    return BlockFeatures(
        features.astype(np.float64), reference_variance(least, base), float(unit), blocks, share
    )


def noise_energy(blocks: Blocks) -> NDArray[np.float32]:
    """Energy of each block in which noise is most of what there is, (N,)."""
    planes = blocks.fine.shape[1]
    # in colour: all but the luminance
    return blocks.fine[:, 0] if planes == 1 else blocks.fine[:, 1:].mean(axis=1)


def by_intensity(blocks: Blocks) -> NDArray[np.float64]:
    """How far each block belongs to each bin of intensity, (N, bins); rows add up to one."""
    position = blocks.mean.mean(axis=1, dtype=np.float64) / 255 * BINS - 0.5
    position = np.clip(position, 0, BINS - 1)
    distance = np.abs(position[:, None] - np.arange(BINS))
    return np.asarray(np.maximum(1 - distance, 0))


def _base(blocks: Blocks, step: float) -> float:
    """Rough variance: the lowest tenth of the blocks' noise energy, clipped ones left out."""
    good = blocks.valid & (blocks.clipped <= 0.5)
    if not good.any():
        good = blocks.valid
    value = _tenth(noise_energy(blocks)[good])
    if blocks.fine.shape[1] == 3:  # nearly grey: the luminance has a say
        value = max(value, 0.01 * _tenth(blocks.fine[good, 0]))
    # a hundredth of a level is below what rounding to float32 leaves
    return value + max(0.05 * step, 0.01) ** 2


def _tenth(values: NDArray[np.float32]) -> float:
    """The value that a tenth of all are below; 0 of none."""
    if values.size == 0:
        return 0.0
    rank = (values.size - 1) // 10
    return float(np.partition(values, rank)[rank])


def _seen(blocks: Blocks, base: float, low: float, high: float) -> NDArray[np.float32]:
    """What the network sees of each block, (N, 7 P + 3)."""
    count = len(blocks.energy)
    relative = np.concatenate([blocks.energy[..., :5], _axial(blocks)], axis=2) / np.float32(base)
    distance = np.minimum(blocks.mean.min(axis=1) - low, high - blocks.mean.max(axis=1))
    distance = np.clip(distance / np.float32(np.sqrt(base)), 0, 6) / 6
    intensity = blocks.mean.mean(axis=1) / 255
    more = np.stack([distance, blocks.clipped, intensity], axis=1)
    logs = np.log(relative + np.float32(1e-3)).reshape(count, -1)
    return np.concatenate([logs, more], axis=1).astype(np.float32)


def _axial(blocks: Blocks) -> NDArray[np.float32]:
    """The two axial bands, the larger first: which is which depends on how the image lies."""
    a, b = blocks.energy[..., 5], blocks.energy[..., 6]
    return np.stack([np.maximum(a, b), np.minimum(a, b)], axis=2)


def _pool(
    share: NDArray[np.float64], blocks: Blocks, base: float, *, cross: bool = True
) -> NDArray[np.float64]:
    """Logarithms of weighted mean energies; products of planes, squashed."""
    bands = np.concatenate([blocks.energy[..., 1:5], _axial(blocks)], axis=2)
    mean = share.T @ bands.reshape(len(bands), -1) / base
    pooled = [np.log(mean + 1e-4).reshape(-1)]
    if cross:
        products = share.T @ blocks.cross / base
        pooled.append((products / (1 + np.abs(products))).reshape(-1))
    return np.concatenate(pooled)


def _kurtosis(share: NDArray[np.float64], blocks: Blocks) -> NDArray[np.float64]:
    square = share.T @ blocks.square
    return _beyond_normal(share.T @ blocks.fourth / (square**2 + 1e-9))


def _beyond_normal(kurtosis: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far from that of normal noise, squashed: small differences there are what matters."""
    excess = kurtosis - 3
    return np.asarray(excess / (np.abs(excess) + 0.25))


def _levels_of_bins(
    share: NDArray[np.float64], blocks: Blocks, base: float
) -> list[NDArray[np.float64]]:
    """Noise, and how much evidence there is of it, by intensity; shape of its distribution."""
    belongs, energy = by_intensity(blocks), noise_energy(blocks)
    found = []
    for head in range(FEW_HEADS):
        mass = belongs * share[:, head : head + 1]
        part = mass.sum(axis=0)
        overall = share[:, head] @ energy / base
        level = mass.T @ energy / base
        found += [np.log((level + 1e-3 * overall) / (part + 1e-3) + 1e-4), part]
    mass = belongs * share[:, :1]
    part = mass.sum(axis=0)
    square, fourth = mass.T @ blocks.square, mass.T @ blocks.fourth
    # as good as normal where there is nothing to go by
    kurtosis = (fourth * part + 3e-6 * base**2) / (square**2 + 1e-6 * base**2)
    return [*found, _beyond_normal(kurtosis)]


def _halve(levels: Image) -> Image:
    """Means of squares of 2 x 2 pixels."""
    height, width = (side // 2 * 2 for side in levels.shape[:2])
    even, odd = levels[0:height:2], levels[1:height:2]
    sums = even[:, 0:width:2] + even[:, 1:width:2] + odd[:, 0:width:2] + odd[:, 1:width:2]
    return np.asarray(sums * np.float32(0.25))


def _halve_mask(included: Mask) -> Mask:
    height, width = (side // 2 * 2 for side in included.shape)
    rows = included[0:height:2] & included[1:height:2]
    return np.asarray(rows[:, 0:width:2] & rows[:, 1:width:2])


#: Shares of the blocks that are looked at.
SHARES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
#: Those of them whose high frequencies the answers are relative to.
REFERENCE_SHARES = slice(2, 5)
#: Bins to a factor of e, where they begin (logarithm of the ratio to the base), how many there are.
STEPS, LOWEST, ENERGY_BINS = 6.0, -6.0, 96


def low_detail(blocks: Blocks, base: float) -> NDArray[np.float64]:
    """Logarithms of mean energies of low, middle and high frequencies, (shares, 3)."""
    planes = slice(0, 1) if blocks.energy.shape[1] == 1 else slice(1, 3)
    energy = blocks.energy[:, planes].mean(axis=1, dtype=np.float64) / base
    low = np.average(energy[:, :3], axis=1, weights=BAND_SHARE[:3].astype(np.float64))
    position = np.clip(STEPS * (np.log(low + 1e-6) - LOWEST), 0, ENERGY_BINS - 1.001)
    first = position.astype(np.intp)
    rest = position - first
    # where values were cut off, there is less noise than there was
    counts = blocks.valid * (1 - blocks.clipped.astype(np.float64)) ** 4
    of_blocks = (np.ones(len(low)), low, energy[:, 3], energy[:, 4])
    sums = np.stack(
        [
            np.bincount(first, counts * (1 - rest) * values, ENERGY_BINS)
            + np.bincount(first + 1, counts * rest * values, ENERGY_BINS)
            for values in of_blocks
        ]
    )
    passed = np.concatenate([np.zeros((4, 1)), np.cumsum(sums, axis=1)], axis=1)
    found = []
    for share in SHARES:
        wanted = share * passed[0, -1]
        # within a bin, all are alike
        last = min(int(np.searchsorted(passed[0, 1:], wanted)), ENERGY_BINS - 1)
        part = (wanted - passed[0, last]) / (sums[0, last] + 1e-12)
        found.append((passed[1:, last] + part * sums[1:, last]) / (wanted + 1e-12))
    return np.asarray(np.log(np.array(found) + 1e-4))


def reference_variance(found: NDArray[np.float64], base: float) -> float:
    """Variance that is that of the noise wherever there are blocks without content."""
    return base * float(np.exp(found[REFERENCE_SHARES, 2].mean()))
