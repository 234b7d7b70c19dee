"""What the engines return: frozen dataclasses that also read like mappings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from helicopter.core.prediction._error_law import LAPLACE, ErrorLaw
from helicopter.core.prediction._intervals import central_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ._anomalies import AnomalyAnalysis
    from ._noise import NoiseAnalysis
    from ._segments import SegmentAwareReconstruction
    from ._verification import Verification

__all__ = [
    "Analysis",
    "AutonomousAnalysis",
    "IterationRecord",
    "RegionalReconstruction",
    "Result",
    "UnderstandingScore",
    "UnderstandingTest",
    "understanding_level",
]

UnderstandingLevel = Literal["excellent", "good", "moderate", "limited"]


def understanding_level(quality: float) -> UnderstandingLevel:
    """Name a quality: >= 0.95 excellent, >= 0.80 good, >= 0.60 moderate, else limited."""
    if quality >= 0.95:
        return "excellent"
    if quality >= 0.80:
        return "good"
    if quality >= 0.60:
        return "moderate"
    return "limited"


def _jsonable(value: Any, arrays: bool) -> Any:
    if isinstance(value, Result):
        return value.to_dict(arrays=arrays)
    if isinstance(value, np.ndarray):
        if arrays:
            finite = value.dtype.kind != "f" or bool(np.isfinite(value).all())
            return value.tolist() if finite else _jsonable(value.tolist(), arrays)
        return {"shape": list(value.shape), "dtype": str(value.dtype)}
    if isinstance(value, np.generic):
        return _jsonable(value.item(), arrays)
    if isinstance(value, float) and not np.isfinite(value):
        return None  # JSON knows neither infinity nor NaN
    if isinstance(value, (tuple, list)):
        return [_jsonable(item, arrays) for item in value]
    if isinstance(value, dict):
        return {name: _jsonable(item, arrays) for name, item in value.items()}
    return value


#: Fields of a result that are shown within another.
_FIRST = 4


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {'x'.join(map(str, value.shape))}>"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple) and len(value) <= 4 and all(map(_is_plain, value)):
        return f"({', '.join(map(_brief, value))}{',' * (len(value) == 1)})"
    if isinstance(value, (tuple, dict)):
        return f"<{len(value)} items>"
    if isinstance(value, Result):  # what comes first in it; all of it has a text of its own
        names = value._names()
        shown = [f"{name}={_brief(value[name])}" for name in names[:_FIRST]]
        return f"{type(value).__name__}({', '.join([*shown, '...'][: len(names)])})"
    return repr(value)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (int, float, str))


# eq=False: results compare by identity, like the owners of arrays do
@dataclass(frozen=True, eq=False)
class Result(Mapping[str, Any]):
    """A frozen dataclass that is also a read-only mapping from field name to value."""

    # Mapping would compare by value, and arrays have no truth value
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __getitem__(self, name: str) -> Any:
        if name in self._names():
            return getattr(self, name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        # what begins with an underscore serves the methods only
        return tuple(item.name for item in fields(cls) if not item.name.startswith("_"))

    def to_dict(self, *, arrays: bool = False) -> dict[str, Any]:
        """Return the fields as JSON-ready values.

        Parameters
        ----------
        arrays : bool, default False
            Write arrays out as nested lists. Without it an array is described by its shape and
            dtype only, since images as JSON text are rarely wanted.

        Returns
        -------
        dict
            Infinite and undefined numbers become ``None``.
        """
        return {name: _jsonable(getattr(self, name), arrays) for name in self._names()}

    def plot(self) -> Figure:
        """Draw the result with matplotlib and return the figure (nothing is shown by itself)."""
        from helicopter.plotting import plot_result

        return plot_result(self)

    def _repr_html_(self) -> str:
        from helicopter.report import result_to_html

        return result_to_html(self)

    def __repr__(self) -> str:
        shown = (f"{name}={_brief(getattr(self, name))}" for name in self._names())
        return f"{type(self).__name__}({', '.join(shown)})"


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
class Analysis(Result):
    """What `helicopter.analyze` found: the results of the engines, side by side.

    Attributes
    ----------
    autonomous : AutonomousAnalysis
        How far the image could be redrawn from a fifth of its patches.
    noise : NoiseAnalysis
        How noisy it is: what no context could tell.
    segments : SegmentAwareReconstruction or None
        Which parts follow from themselves; None where that was not called for.
    anomalies : AnomalyAnalysis or None
        What is unlike the rest of the image, and no noise; None if it was not looked for.
    verification : Verification or None
        Whether the patches that were scored are evidence enough to call the image understood; None
        if nothing could be scored.
    seconds : float
        Wall-clock time of the whole analysis.
    """

    autonomous: AutonomousAnalysis
    noise: NoiseAnalysis
    segments: SegmentAwareReconstruction | None
    anomalies: AnomalyAnalysis | None
    verification: Verification | None
    seconds: float
