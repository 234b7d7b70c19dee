"""What there is to find out about the noise of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Labels, Map, Mask

__all__ = ["FineNoise", "NoiseBackend", "NoiseRun", "Wave"]


class FineNoise(NamedTuple):
    """The level of the noise that is in every pixel, on the [0, 1] scale.

    `low` and `high` bound the central 90 % interval of `sigma`.
    """

    sigma: float
    low: float
    high: float
    by_channel: tuple[float, ...]


class Wave(NamedTuple):
    """A sinusoid all over the image: cycles per pixel, amplitude on the [0, 1] scale, phase."""

    frequency_y: float
    frequency_x: float
    amplitude: float
    phase: float


@dataclass(frozen=True)
class NoiseRun:
    """What a backend finds out about the noise of one image or segment, on the [0, 1] scale.

    Attributes
    ----------
    fine : FineNoise
    probabilities : tuple of float
        Of the kinds in `helicopter.core.NOISE_KINDS`, in that order: that this kind
        is present; of `clean`, that none is.
    coloured : float
        Probability that the fine noise is correlated from pixel to pixel.
    scale_sigma : tuple of float
        Standard deviation of the noise averaged over squares of 1, 2, 4, 8 pixels.
    gain, speckle : float
        Variance per unit of intensity of Poisson noise, and standard deviation per unit of
        intensity of speckle, as if the noise were of that kind.
    salt_pepper_density, impulse_density : float
        Share of pixels hit, as if the impulses were of that kind.
    waves : tuple of Wave
        The strongest first.
    quality : int
        On the scale of libjpeg, as if the image had been compressed; 0 if nothing points there.
    grid : tuple of int
        Row and column of the first whole 8 x 8 block.
    level_function : float64 ndarray of shape (K, 3)
        Intensity, variance of the noise there, and the share of the evidence that it rests on.
    sigma_map : float32 ndarray of shape (H, W)
        Empty for segments.
    spectrum : float32 ndarray of shape (S, S)
        Log power, frequency zero in the middle; empty for segments.
    impulses : int
        Number of pixels judged to be hit.
    """

    fine: FineNoise
    probabilities: tuple[float, ...]
    coloured: float
    scale_sigma: tuple[float, ...]
    gain: float
    speckle: float
    salt_pepper_density: float
    impulse_density: float
    waves: tuple[Wave, ...]
    quality: int
    grid: tuple[int, int]
    level_function: NDArray[np.float64]
    sigma_map: Map
    spectrum: Map
    impulses: int


class NoiseBackend(Protocol):
    """Measures noise."""

    def noise_level(self, image: Image, included: Mask, quantum: float) -> FineNoise:
        """Estimate the fine noise alone; `quantum` is the step of the input's values."""

    def analyze_noise(
        self, image: Image, included: Mask, quantum: float, segments: Labels | None
    ) -> tuple[NoiseRun, list[NoiseRun]]:
        """Analyse the noise of the whole and of each segment, in the order of `np.unique`."""
