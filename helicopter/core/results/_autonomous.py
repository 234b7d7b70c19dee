"""What `AutonomousReconstructionEngine` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from helicopter._shared.result import Result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._verification import Verification

__all__ = ["AutonomousAnalysis", "IterationRecord", "understanding_level"]

UnderstandingLevel = Literal["excellent", "good", "moderate", "limited"]


#: The levels and the least quality of each. As quality is 1 / (1 + 10 MSE), these are root mean
#: square errors of at most 0.07, 0.16 and 0.26 of the range.
QUALITY_OF_LEVELS: tuple[tuple[UnderstandingLevel, float], ...] = (
    ("excellent", 0.95),
    ("good", 0.80),
    ("moderate", 0.60),
)


def understanding_level(quality: float) -> UnderstandingLevel:
    """Name a quality: >= 0.95 excellent, >= 0.80 good, >= 0.60 moderate, else limited."""
    for level, least in QUALITY_OF_LEVELS:
        if quality >= least:
            return level
    return "limited"


@dataclass(frozen=True, eq=False, repr=False)
class IterationRecord(Result):
    """One step of the autonomous engine.

    Attributes
    ----------
    iteration : int
        Counted from 1.
    patches : tuple of int
        The patches predicted in this step, row-major indices into the patch grid, in the order
        in which they were chosen.
    strategy : str
        What chose them.
    quality : float
        1 / (1 + 10 MSE) of this step's predictions; NaN when nothing of them could be scored.
    cumulative_quality : float
        The same over all predictions so far.
    confidence : float
        Mean confidence of this step's patches, stated before they were scored.
    """

    iteration: int
    patches: tuple[int, ...]
    strategy: str
    quality: float
    cumulative_quality: float
    confidence: float


@dataclass(frozen=True, eq=False, repr=False)
class AutonomousAnalysis(Result):
    """What `AutonomousReconstructionEngine.autonomous_analyze` found.

    Attributes
    ----------
    reconstruction_quality : float
        1 / (1 + 10 MSE) on the [0, 1] scale, over the pixels that were hidden: all of them when the
        book was closed; when it was open, those still hidden at the end (all, if none was left).
        `ssim`, `psnr_db`, `mae` and `skill` are taken over the same pixels.
    understanding_level : str
        ``"excellent"`` (>= 0.95), ``"good"`` (>= 0.80), ``"moderate"`` (>= 0.60) or ``"limited"``.
    ssim : float
        Structural similarity (7 x 7 uniform window), mean over the pixels that were hidden.
    psnr_db : float
        Peak signal-to-noise ratio over the pixels that were hidden, in decibels.
    mae : float
        Mean absolute error over the pixels that were hidden, in the image's own units.
    skill : float
        1 - MSE / MSE of the predictor that knows only the mean colour of what was shown.
        0 is no better than that, 1 is perfect; NaN for an image of a single colour.
    average_confidence : float
        Mean over the predicted patches of the probability, stated before scoring, that their mean
        absolute error is at most 0.05 of the range.
    completion : float
        Share of the hidden patches that the loop predicted and scored before it stopped.
    iterations : int
    converged : bool
        Whether `reconstruction_quality` reached the target.
    stop_reason : str
        ``"target_quality"``, ``"all_patches_done"``, ``"no_improvement"``, ``"max_iterations"`` or,
        with ``stop="hatata"``, ``"evidence_sufficient"``.
    reconstruction : ndarray
        The image redrawn, in the input's shape, dtype and range; what was shown is untouched.
    confidence_map : float32 ndarray of shape (H, W)
        Per pixel, the confidence of its patch; 1 where the pixel was shown.
    uncertainty_map : float32 ndarray of shape (H, W)
        Predicted standard deviation, in the image's own units; 0 where the pixel was shown.
    error_map : float32 ndarray of shape (H, W)
        Absolute error, mean over the channels, in the image's own units; 0 where the pixel was
        shown, NaN where the truth is missing (``mask=``). With the book open, of the prediction
        that was made before the truth was revealed.
    hidden_mask : bool ndarray of shape (H, W)
        What was hidden when the analysis began (``True`` = hidden).
    patch_size : int
    history : tuple of IterationRecord
    algorithm, strategy, backend, device : str
    seconds : float
        Wall-clock time of the analysis.
    patch_qualities : float64 ndarray
        1 / (1 + 10 MSE) of every patch that the loop predicted, in the order of `history`; NaN
        where its truth is missing.
    verification : Verification or None
        With ``stop="hatata"``, what the scored patches said of the whole image.
    """

    reconstruction_quality: float
    understanding_level: UnderstandingLevel
    ssim: float
    psnr_db: float
    mae: float
    skill: float
    average_confidence: float
    completion: float
    iterations: int
    converged: bool
    stop_reason: str
    reconstruction: NDArray[Any]
    confidence_map: NDArray[np.float32]
    uncertainty_map: NDArray[np.float32]
    error_map: NDArray[np.float32]
    hidden_mask: NDArray[np.bool_]
    patch_size: int
    history: tuple[IterationRecord, ...]
    algorithm: str
    strategy: str
    backend: str
    device: str
    seconds: float
    patch_qualities: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    verification: Verification | None = None
