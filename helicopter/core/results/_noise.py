"""What `ZengezaNoiseDetector` returns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from helicopter._shared.result import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = [
    "NOISE_ACTIONS",
    "NOISE_KINDS",
    "NoiseAnalysis",
    "NoiseLevel",
    "NoiseLevelFunction",
    "NoiseScale",
    "SegmentNoise",
    "describe_kind",
]

NoiseName = Literal["minimal", "low", "moderate", "high", "severe"]
NoiseColour = Literal["white", "coloured"]
NoiseAction = Literal["keep", "denoise", "median_filter", "notch_filter", "deblock", "discard"]
#: Kind of noise to its parameters by name, as numbers; see `NoiseAnalysis.parameters`.
KindParameters: TypeAlias = "dict[str, dict[str, Any]]"

#: In the order in which a backend states their probabilities.
NOISE_KINDS: tuple[str, ...] = (
    "clean",
    "gaussian",
    "poisson",
    "speckle",
    "uniform",
    "salt_pepper",
    "impulse",
    "periodic",
    "compression",
)

#: What may be recommended for a segment; see `SegmentNoise`.
NOISE_ACTIONS: tuple[NoiseAction, ...] = (
    "keep",
    "denoise",
    "median_filter",
    "notch_filter",
    "deblock",
    "discard",
)


@dataclass(frozen=True, eq=False, repr=False)
class NoiseLevel(Result):
    """What `ZengezaNoiseDetector.level` found: the fine noise, and nothing of its kind.

    Fine noise is what is in every pixel. Impulses, interference and compression are not counted in;
    `NoiseAnalysis` looks for these too.

    Attributes
    ----------
    sigma : float
        Standard deviation of the fine noise, in the image's own units; over the channels, the root
        of the mean variance.
    sigma_interval : tuple of float
        Central 90 % interval of `sigma`.
    sigma_per_channel : tuple of float
    snr_db : float
        10 log10(content variance / noise variance): the image's variance less the noise's is the
        content's. Infinite without noise, minus infinity without content.
    level : str
        Of `sigma`, as a share of the range: ``"minimal"`` (< 1 %), ``"low"`` (< 3 %),
        ``"moderate"`` (< 8 %), ``"high"`` (< 20 %) or ``"severe"``.
    data_range : tuple of float
        The values of black and white.
    backend, device : str
    seconds : float
        Wall-clock time.
    """

    sigma: float
    sigma_interval: tuple[float, float]
    sigma_per_channel: tuple[float, ...]
    snr_db: float
    level: NoiseName
    data_range: tuple[float, float]
    backend: str
    device: str
    seconds: float


@dataclass(frozen=True, eq=False, repr=False)
class NoiseLevelFunction(Result):
    """How the fine noise grows with the intensity, and the Poisson-Gaussian law that fits it.

    The law is variance = `a` * (intensity - `black`) + `b` (Foi et al. 2008), by weighted least
    squares with neither `a` nor `b` below zero: `a` is the part of photons, `b` that of the
    electronics.

    Attributes
    ----------
    intensity, sigma : float64 ndarray of shape (K,)
        Where it was measured, and the standard deviation of the noise there, in the image's units.
    weight : float64 ndarray of shape (K,)
        Share of the evidence that each of these points rests on; one that rests on (almost) none
        is interpolated, and counts for nothing in the fit.
    a : float
        In the image's units.
    b : float
        In their square.
    black : float
        The value of black.
    """

    intensity: NDArray[np.float64]
    sigma: NDArray[np.float64]
    weight: NDArray[np.float64]
    a: float
    b: float
    black: float

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Which of the points rest on evidence of their own."""
        return np.asarray(self.weight > 1e-3)

    def at(self, intensity: float | NDArray[Any]) -> NDArray[np.float64]:
        """Return the standard deviation that the law states at these intensities.

        Parameters
        ----------
        intensity : float or ndarray
            In the image's units; below black counts as black.
        """
        above = np.maximum(np.asarray(intensity, dtype=np.float64) - self.black, 0.0)
        return np.asarray(np.sqrt(self.a * above + self.b))


@dataclass(frozen=True, eq=False, repr=False)
class NoiseScale(Result):
    """The fine noise, seen from further away: averaged over squares of `scale` pixels.

    White noise halves `sigma` with every step; what falls off more slowly is coloured.

    Attributes
    ----------
    scale : int
        Side of the squares, in pixels.
    sigma : float
        Standard deviation of the averaged noise, in the image's units.
    power : float
        Its square.
    snr_db : float
        10 log10(content variance / noise variance) of the averaged image; NaN if no whole square
        fits what was looked at.
    """

    scale: int
    sigma: float
    power: float
    snr_db: float


@dataclass(frozen=True, eq=False, repr=False)
class SegmentNoise(Result):
    """The noise of one segment, and what to do about it.

    Attributes
    ----------
    label : int
        As given; of a grid, row-major from 0.
    bounding_box : tuple of int
        Top, left, bottom and right of its pixels; the last two excluded.
    area : int
        Number of its pixels.
    sigma : float
        Standard deviation of its fine noise, in the image's units.
    total_sigma : float
        Of all noise found in it; see `NoiseAnalysis`.
    snr_db : float
        10 log10(content variance / variance of all noise) within the segment.
    level : str
        Of `total_sigma`; see `NoiseAnalysis`.
    kind, kinds, kind_probabilities, parameters
        As in `NoiseAnalysis`.
    priority : float
        How much of what can be seen in the segment is content worth keeping: C / (C + N + 0.01²),
        with C the variance of its content and N that of all its noise, on the [0, 1] scale. C is
        the segment's variance about its mean colour less N. The last term is what the eye does not
        see either: without it a clean but empty segment would score as high as a clean rich one.
    action : str
        What is recommended; the first of these that applies.
        ``"discard"``: the fine noise is severe (at least 20 % of the range), and all noise
        outweighs the content ten times in variance. ``"median_filter"``: impulses were found.
        ``"notch_filter"``: periodic interference was found. ``"deblock"``: compression was found,
        of a quality below 90. ``"denoise"``: all noise together is at least 1 % of the range.
        ``"keep"``.
    """

    label: int
    bounding_box: tuple[int, int, int, int]
    area: int
    sigma: float
    total_sigma: float
    snr_db: float
    level: NoiseName
    kind: str
    kinds: tuple[str, ...]
    kind_probabilities: dict[str, float]
    parameters: KindParameters
    priority: float
    action: NoiseAction


@dataclass(frozen=True, eq=False, repr=False)
class NoiseAnalysis(Result):
    """What `ZengezaNoiseDetector.analyze` found.

    Attributes
    ----------
    sigma : float
        Standard deviation of the fine noise, which is in every pixel, in the image's own units;
        over the channels, the root of the mean variance.
    sigma_interval : tuple of float
        Central 90 % interval of `sigma`.
    sigma_per_channel : tuple of float
    total_sigma : float
        Standard deviation of all noise found: the fine noise, and impulses and periodic
        interference where these are among `kinds`. What compression did is not counted in.
    snr_db : float
        10 log10(content variance / variance of all noise): the image's variance less the noise's is
        the content's. Infinite without noise, minus infinity without content.
    level : str
        Of `total_sigma`, as a share of the range: ``"minimal"`` (< 1 %), ``"low"`` (< 3 %),
        ``"moderate"`` (< 8 %), ``"high"`` (< 20 %) or ``"severe"``.
    kind : str
        The first of `kinds`.
    kinds : tuple of str
        Those of `NOISE_KINDS` that are present with a probability of at least 0.5, the most
        probable first; ``("clean",)`` if there is none.
    kind_probabilities : dict
        Probability of each kind that it is present; of ``"clean"``, that none is. Several may be
        present at once, so these do not add up to one.
    parameters : dict
        Of each kind, found or not, its parameters as if the noise were of that kind, in the image's
        units: `gaussian` and `uniform` {sigma}; `poisson` {gain}, the variance per unit of
        intensity above black; `speckle` {strength}, the standard deviation as a share of the
        intensity above black; `salt_pepper` and `impulse` {density}, the share of pixels hit;
        `periodic` {amplitude, components}, the amplitude of one sinusoid of the same power, and for
        each sinusoid {frequency (rows, columns; cycles per pixel), period (pixels), amplitude,
        phase (radians)}; `compression` {quality, grid}, on the scale of libjpeg (None if nothing
        points there), and row and column of the first whole block of 8 x 8.
    noise_level_function : NoiseLevelFunction
    noise_colour : str
        ``"coloured"`` if the fine noise is correlated from pixel to pixel, else ``"white"``.
    scales : tuple of NoiseScale
    sigma_map : float32 ndarray of shape (H, W)
        Standard deviation of the fine noise around each pixel, in the image's units; NaN where a
        pixel was left out.
    spectrum : float32 ndarray of shape (S, S)
        Decimal logarithm of the power spectrum of what is no content, its own trend taken out;
        frequency zero is in the middle, half a cycle per pixel at the edge.
    segments : tuple of SegmentNoise
        By ascending label; empty unless segments were asked for.
    data_range : tuple of float
        The values of black and white.
    dtype : str
        Of the image, whose units these are.
    backend, device : str
    seconds : float
        Wall-clock time.
    """

    sigma: float
    sigma_interval: tuple[float, float]
    sigma_per_channel: tuple[float, ...]
    total_sigma: float
    snr_db: float
    level: NoiseName
    kind: str
    kinds: tuple[str, ...]
    kind_probabilities: dict[str, float]
    parameters: KindParameters
    noise_level_function: NoiseLevelFunction
    noise_colour: NoiseColour
    scales: tuple[NoiseScale, ...]
    sigma_map: NDArray[np.float32]
    spectrum: NDArray[np.float32]
    segments: tuple[SegmentNoise, ...]
    data_range: tuple[float, float]
    dtype: str
    backend: str
    device: str
    seconds: float


def describe_kind(kind: str, parameters: Mapping[str, Mapping[str, Any]]) -> str:
    """Name a kind of noise with its parameter, briefly, for a table or a caption."""
    name = {"salt_pepper": "salt and pepper", "impulse": "random impulses"}.get(kind, kind)
    of_kind = parameters.get(kind, {})
    if kind in ("gaussian", "uniform"):
        return f"{name} (sigma {of_kind['sigma']:.3g})"
    if kind == "poisson":
        return f"{name} (gain {of_kind['gain']:.3g})"
    if kind == "speckle":
        return f"{name} (strength {of_kind['strength']:.3g})"
    if kind in ("salt_pepper", "impulse"):
        return f"{name} ({100 * of_kind['density']:.3g} %)"
    if kind == "periodic":
        periods = [f"{wave['period']:.3g}" for wave in of_kind["components"][:3]]
        more = ", ..." if len(of_kind["components"]) > 3 else ""
        every = f", period {', '.join(periods)}{more}" if periods else ""
        return f"{name} (amplitude {of_kind['amplitude']:.3g}{every})"
    if kind == "compression" and of_kind["quality"] is not None:
        return f"{name} (quality {of_kind['quality']})"
    return name


def noise_level_name(share: float) -> NoiseName:
    """Name a standard deviation that is this share of the range."""
    if share < 0.01:
        return "minimal"
    if share < 0.03:
        return "low"
    if share < 0.08:
        return "moderate"
    return "high" if share < 0.20 else "severe"


def decibels(content: float, noise: float) -> float:
    """10 log10 of two variances, the first of which may turn out below zero."""
    if math.isnan(content) or math.isnan(noise):
        return math.nan
    if noise <= 0.0:
        return math.inf
    return 10.0 * math.log10(content / noise) if content > 0.0 else -math.inf
