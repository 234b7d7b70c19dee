"""Blind noise analysis: how much noise, of which kind, where, over which scales."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from helicopter._shared.blas import blas_on_one_thread
from helicopter.backends.protocol import FineNoise, NoiseRun, Wave
from helicopter.models._noise import noise_model

from .noise import answers
from .noise.block_features import extract_features
from .noise.compression import find_compression
from .noise.impulses import find_impulses, repair
from .noise.level_map import level_map
from .noise.periodic import find_periodic, remove

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Labels, Map, Mask

    from .noise.block_features import BlockFeatures
    from .noise.impulses import Impulses

__all__ = ["analyze_noise", "noise_level"]

#: Smaller images say nothing about their noise.
LEAST_SIDE = 8


class _Measured(NamedTuple):
    """Everything measured on an image; `others` are the features of all but the fine noise."""

    impulses: Impulses
    waves: tuple[Wave, ...]
    spectrum: Map
    quality: int
    grid: tuple[int, int]
    others: NDArray[np.float64]
    of_blocks: BlockFeatures | None


@blas_on_one_thread()
def noise_level(image: Image, included: Mask, quantum: float) -> FineNoise:
    """Estimate the fine noise alone, impulses left out."""
    model = noise_model(image.shape[2])
    impulses = find_impulses(image, included)
    of_blocks = extract_features(
        _without_impulses(image, included, impulses), included, quantum, model.blocks
    )
    if of_blocks is None:
        return _unknown(image, quantum)
    features = np.append(of_blocks.values, impulses.mask.mean())
    return answers.conclude_level(features, of_blocks, model, image.shape[2]).fine


@blas_on_one_thread()
def analyze_noise(
    image: Image, included: Mask, quantum: float, segments: Labels | None
) -> tuple[NoiseRun, list[NoiseRun]]:
    """Analyse a whole image and each of its segments, in the order of labels."""
    whole = _examine(image, included, quantum, maps=True)
    parts = []
    for label in [] if segments is None else np.unique(segments):
        own = segments == label
        rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        inside = own[window] & included[window]
        # what lies beyond the segment must have no influence at all
        pixels = np.where(inside[:, :, None], image[window], np.float32(0))
        parts.append(_examine(pixels, inside, quantum, maps=False))
    return whole, parts


def _examine(image: Image, included: Mask, quantum: float, *, maps: bool) -> NoiseRun:
    model = noise_model(image.shape[2])
    measured = _measure(image, included, quantum)
    nothing = np.zeros((0, 0), dtype=np.float32)
    probabilities = answers.uninformed()
    fine, coloured, scale_sigma = _unknown(image, quantum), 0.0, (0.0,) * len(answers.SCALES)
    gain = speckle = 0.0
    function = np.zeros((0, 3))
    sigma_map = np.zeros(image.shape[:2], dtype=np.float32) if maps else nothing
    if measured.of_blocks is not None:
        features = np.append(measured.of_blocks.values, measured.impulses.mask.mean())
        fine, coloured, scale_sigma = answers.conclude_level(
            features, measured.of_blocks, model, image.shape[2]
        )
        inputs = np.concatenate([features, measured.others])
        probabilities, gain, speckle = answers.conclude_kinds(inputs, measured.of_blocks, model)
        function = answers.level_function(measured.of_blocks, fine.sigma)
        if maps:
            sigma_map = level_map(measured.of_blocks, fine.sigma, image.shape[:2], model)
    elif min(image.shape[:2]) >= LEAST_SIDE and included.any():
        # constant: nothing there but the content
        probabilities = (1.0, *[0.0] * (answers.KINDS - 1))
    return NoiseRun(
        fine=fine,
        probabilities=probabilities,
        coloured=coloured,
        scale_sigma=scale_sigma,
        gain=gain,
        speckle=speckle,
        salt_pepper_density=measured.impulses.salt_pepper_density,
        impulse_density=measured.impulses.impulse_density,
        waves=measured.waves,
        quality=measured.quality,
        grid=measured.grid,
        level_function=function,
        sigma_map=sigma_map,
        spectrum=measured.spectrum if maps else nothing,
        impulses=int(np.count_nonzero(measured.impulses.mask)),
    )


def _measure(image: Image, included: Mask, quantum: float) -> _Measured:
    """Measure everything, each kind of noise on what is left without the ones before."""
    impulses = find_impulses(image, included)
    rest = _without_impulses(image, included, impulses)
    periodic = find_periodic(rest, included)
    compression = find_compression(image, included)
    if periodic.components:
        rest = remove(rest, periodic.components)
    return _Measured(
        impulses,
        tuple(Wave(*component[:4]) for component in periodic.components),
        periodic.spectrum,
        compression.quality or 0,
        compression.grid,
        np.concatenate([impulses.features, periodic.features, compression.features]),
        extract_features(rest, included, quantum, noise_model(image.shape[2]).blocks),
    )


def _without_impulses(image: Image, included: Mask, impulses: Impulses) -> Image:
    return repair(image, impulses.mask, included) if impulses.mask.any() else image


def _unknown(image: Image, quantum: float) -> FineNoise:
    """What can be said when no block had anything to say.

    A constant image may have noise that rounding swallowed; a tiny one may have any.
    """
    high = quantum / 2 if min(image.shape[:2]) >= LEAST_SIDE else 1.0
    return FineNoise(0.0, 0.0, high, (0.0,) * image.shape[2])
