"""What the networks' outputs mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from helicopter.backends.protocol import FineNoise

from .block_features import BINS, by_intensity, noise_energy
from .level_map import NOTHING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.models._noise import NoiseModel

    from .block_features import BlockFeatures

__all__ = [
    "KINDS",
    "Kinds",
    "Level",
    "conclude_kinds",
    "conclude_level",
    "level_function",
    "uninformed",
]

#: Kinds of noise, "clean" being the first.
KINDS = 9
#: Squares over which the noise is averaged, by their sides.
SCALES = (1, 2, 4, 8)
#: A level of zero can be reached: it is so much less than the exponential of the output.
FLOOR = 0.1


class Level(NamedTuple):
    """The fine noise, and how it looks from further away."""

    fine: FineNoise
    coloured: float
    scale_sigma: tuple[float, ...]


class Kinds(NamedTuple):
    """Probabilities of the kinds, "clean" being the first, and parameters that go with them."""

    probabilities: tuple[float, ...]
    gain: float
    speckle: float


def conclude_level(
    features: NDArray[np.float64], of_blocks: BlockFeatures, model: NoiseModel, channels: int
) -> Level:
    """Conclude the level of the fine noise from the features."""
    outputs = model.level.answer(features)
    log_sigma, below, above, coloured_logit = outputs[:4]
    log_scales, log_channels = np.split(outputs[4:], [len(SCALES)])
    scale = np.sqrt(of_blocks.reference_variance) / of_blocks.unit

    def of(x: float) -> float:
        return float(max(scale * (np.exp(x) - FLOOR), 0.0))

    middle = float(np.clip(log_sigma, -6, 4))
    sigma = of(middle)
    low, high = of(middle - _softplus(below - 2)), of(middle + _softplus(above - 2))
    coloured = _sigmoid(coloured_logit)
    scale_sigma = tuple(sigma / side for side in SCALES)
    if coloured >= 0.5:
        scale_sigma = tuple((scale * np.exp(np.clip(log_scales, -8, 6))).tolist())
        factor = scale_sigma[0] / sigma if sigma > 0 else 1.0
        sigma, low, high = scale_sigma[0], low * factor, max(high * factor, scale_sigma[0])
    by_channel = (sigma,)
    if channels == 3:
        each = np.exp(np.clip(log_channels, -8, 6))
        by_channel = tuple((each * sigma / np.sqrt(np.mean(each**2))).tolist())
    return Level(FineNoise(sigma, low, high, by_channel), coloured, scale_sigma)


def conclude_kinds(
    measured: NDArray[np.float64], of_blocks: BlockFeatures, model: NoiseModel
) -> Kinds:
    """Conclude the kinds from everything that has been measured."""
    outputs = model.kinds.answer(measured)
    no_fine, gaussian, poisson, multiplicative, uniform, poisson_gaussian = _softmax(outputs[:6])
    no_impulses, salt_pepper, impulse = _softmax(outputs[6:9])
    periodic, compression = _sigmoid(outputs[9]), _sigmoid(outputs[10])
    clean = no_fine * no_impulses * (1 - periodic) * (1 - compression)
    probabilities = (
        clean,
        gaussian + poisson_gaussian,  # of the two together, both are present
        poisson + poisson_gaussian,
        multiplicative,
        uniform,
        salt_pepper,
        impulse,
        periodic,
        compression,
    )
    scale = np.sqrt(of_blocks.reference_variance) / of_blocks.unit
    gain, speckle = np.exp(np.clip(outputs[11:13], -12, 12)) * 2 * (scale**2, scale)
    return Kinds(tuple(float(p) for p in probabilities), float(gain), float(speckle))


def uninformed() -> tuple[float, ...]:
    """Without evidence, every kind may be."""
    return (0.5, *[0.5 / (KINDS - 1)] * (KINDS - 1))


def level_function(of_blocks: BlockFeatures, sigma: float) -> NDArray[np.float64]:
    """Intensity, variance of the noise there, share of the evidence, of each bin: (bins, 3).

    The variance is such that its mean over the image is the square of `sigma`.
    """
    belongs, energy = by_intensity(of_blocks.blocks), noise_energy(of_blocks.blocks)
    mass = belongs * of_blocks.share[:, :1]
    part = mass.sum(axis=0)
    known = np.flatnonzero(part > 1e-3)
    bins = np.arange(BINS)
    variance = np.ones(BINS)
    if known.size:
        variance = np.interp(bins, known, (mass.T @ energy)[known] / part[known])
    count = belongs[of_blocks.blocks.valid].sum(axis=0)
    mean = count @ variance / max(count.sum(), 1e-9)
    variance = sigma**2 * (variance + NOTHING) / (mean + NOTHING)
    intensity = (bins + 0.5) / BINS * 255 / of_blocks.unit
    return np.stack([intensity, variance, part], axis=1)


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def _softplus(x: float) -> float:
    return float(np.logaddexp(x, 0))


def _softmax(x: NDArray[np.float64]) -> NDArray[np.float64]:
    each = np.exp(x - x.max())
    return np.asarray(each / each.sum())
