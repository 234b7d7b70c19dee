"""What `RegionalReconstructionEngine` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._shared.result import Result
from helicopter.core.prediction._error_law import LAPLACE, ErrorLaw, central_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._autonomous import UnderstandingLevel

__all__ = [
    "CrossReconstruction",
    "PatchScore",
    "RegionalReconstruction",
    "UnderstandingScore",
    "UnderstandingTest",
]


@dataclass(frozen=True, eq=False, repr=False)
class RegionalReconstruction(Result):
    """What `RegionalReconstructionEngine.reconstruct` predicted.

    Attributes
    ----------
    reconstruction : ndarray
        The input's shape, dtype and range; visible pixels are exactly the input's.
    uncertainty_map : float32 ndarray of shape (H, W)
        Predicted standard deviation of the error, in the image's own units; 0 where visible.
    confidence_map : float32 ndarray of shape (H, W)
        Probability that the pixel's error is at most 0.05 of the range; 1 where visible.
    algorithm, backend, device : str
    seconds : float
        Wall-clock time.
    data_range : tuple of float
        The values of black and white.
    """

    reconstruction: NDArray[Any]
    uncertainty_map: NDArray[np.float32]
    confidence_map: NDArray[np.float32]
    algorithm: str
    backend: str
    device: str
    seconds: float
    data_range: tuple[float, float] = (0.0, 1.0)
    _law: ErrorLaw = field(default=LAPLACE)
    _remainder: NDArray[np.int8] | None = field(default=None)

    def interval(self, level: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the central predictive interval of every value.

        Of the hidden values the share `level` lies between the two ends: so it was found on
        photographs. Around integers the interval is that of the prediction before it was rounded.

        Parameters
        ----------
        level : float
            Between 0 and 1, both excluded.

        Returns
        -------
        low, high : float32 ndarray
            Of the image's shape, in its units and within its range; both are the value itself
            where it was visible.

        Raises
        ------
        InvalidOptionError
        """
        return central_interval(
            self.reconstruction,
            self._remainder,
            self.uncertainty_map,
            self.data_range,
            self._law,
            level,
        )


@dataclass(frozen=True, eq=False, repr=False)
class UnderstandingScore(Result):
    """How well one masking strategy at one difficulty was redrawn (hidden pixels only).

    `hidden_fraction` is what the mask really hid; `mae` is in the image's own units; the other
    measures are those of `AutonomousAnalysis`.
    """

    strategy: str
    difficulty: float
    hidden_fraction: float
    reconstruction_quality: float
    psnr_db: float
    ssim: float
    mae: float
    skill: float
    average_confidence: float


@dataclass(frozen=True, eq=False, repr=False)
class UnderstandingTest(Result):
    """Quality over masking strategies and difficulties.

    Attributes
    ----------
    reconstruction_quality : float
        Mean over all `scores`.
    understanding_level : str
        Of that mean; see `AutonomousAnalysis`.
    skill : float
        Mean skill over those `scores` that have one; NaN for an image of a single colour.
    scores : tuple of UnderstandingScore
        Strategy by strategy, difficulties in the order given.
    algorithm, backend, device : str
    seconds : float
    """

    reconstruction_quality: float
    understanding_level: UnderstandingLevel
    skill: float
    scores: tuple[UnderstandingScore, ...]
    algorithm: str
    backend: str
    device: str
    seconds: float


@dataclass(frozen=True, eq=False, repr=False)
class PatchScore(Result):
    """How well one patch followed from the rest of the image.

    Attributes
    ----------
    box : tuple of int
        Top, left, bottom and right of the patch's pixels; the last two excluded.
    fold : int
        In which fold it was hidden.
    quality : float
        1 / (1 + 10 MSE) on the [0, 1] scale.
    confidence : float
        Probability, stated before scoring, that the mean absolute error is at most 0.05.
    surprise : float
        By how many standard deviations the logarithm of the mean absolute error exceeds what was
        expected: about normal on photographs, so 3 is rare, and what is far above is news.
    """

    box: tuple[int, int, int, int]
    fold: int
    quality: float
    confidence: float
    surprise: float


@dataclass(frozen=True, eq=False, repr=False)
class CrossReconstruction(Result):
    """What `RegionalReconstructionEngine.cross_reconstruct` predicted, all of it out of sample.

    Attributes
    ----------
    reconstruction_quality : float
        1 / (1 + 10 MSE) on the [0, 1] scale, over all pixels; so are the next five.
    understanding_level : str
        See `AutonomousAnalysis`.
    ssim, psnr_db : float
    mae : float
        In the image's own units.
    skill : float
        1 - MSE / variance: 0 is no better than the mean colour, 1 is perfect; NaN for an image of a
        single colour.
    average_confidence : float
        Mean confidence of the patches.
    reconstruction : ndarray
        The prediction of every pixel from the patches that were visible in its fold, in the input's
        shape, dtype and range; alpha is untouched.
    uncertainty_map : float32 ndarray of shape (H, W)
        Predicted standard deviation of the error, in the image's own units.
    confidence_map : float32 ndarray of shape (H, W)
        Probability that the pixel's error is at most 0.05 of the range.
    error_map : float32 ndarray of shape (H, W)
        Absolute error, mean over the channels, in the image's own units.
    surprise_map : float32 ndarray of shape (H, W)
        Standardised residual: (image - prediction) / uncertainty, as the root mean square over the
        channels with the sign of their mean. Positive where the image is brighter than expected.
    patch_quality, patch_confidence, patch_surprise : float32 ndarray of shape (rows, cols)
        Of each patch; see `PatchScore`.
    patch_fold : int32 ndarray of shape (rows, cols)
        In which fold each patch was hidden.
    patch_size, folds : int
    data_range : tuple of float
        The values of black and white.
    algorithm, backend, device : str
    seconds : float
    """

    reconstruction_quality: float
    understanding_level: UnderstandingLevel
    ssim: float
    psnr_db: float
    mae: float
    skill: float
    average_confidence: float
    reconstruction: NDArray[Any]
    uncertainty_map: NDArray[np.float32]
    confidence_map: NDArray[np.float32]
    error_map: NDArray[np.float32]
    surprise_map: NDArray[np.float32]
    patch_quality: NDArray[np.float32]
    patch_confidence: NDArray[np.float32]
    patch_surprise: NDArray[np.float32]
    patch_fold: NDArray[np.int32]
    patch_size: int
    folds: int
    data_range: tuple[float, float]
    algorithm: str
    backend: str
    device: str
    seconds: float
    _law: ErrorLaw = field(default=LAPLACE)
    _remainder: NDArray[np.int8] | None = field(default=None)

    def patches(self) -> tuple[PatchScore, ...]:
        """Return the scores patch by patch, row-major."""
        height, width = self.uncertainty_map.shape
        size = self.patch_size
        return tuple(
            PatchScore(
                box=(
                    row * size,
                    col * size,
                    min((row + 1) * size, height),
                    min((col + 1) * size, width),
                ),
                fold=int(self.patch_fold[row, col]),
                quality=float(self.patch_quality[row, col]),
                confidence=float(self.patch_confidence[row, col]),
                surprise=float(self.patch_surprise[row, col]),
            )
            for row, col in np.ndindex(self.patch_fold.shape)
        )

    def interval(self, level: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the central predictive interval of every value; see `RegionalReconstruction`."""
        return central_interval(
            self.reconstruction,
            self._remainder,
            self.uncertainty_map,
            self.data_range,
            self._law,
            level,
        )
