"""What segment-aware reconstruction and `find_anomalies` return."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from helicopter._shared.result import Result
from helicopter.errors import HelicopterError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from ._autonomous import UnderstandingLevel

__all__ = [
    "SEGMENT_TYPES",
    "AnomalyAnalysis",
    "AnomalyRegion",
    "SegmentAwareReconstruction",
    "SegmentReconstruction",
    "SegmentType",
]

SegmentType = Literal["background", "smooth", "text", "edge", "texture", "detail"]

#: In the order in which the rules are asked; see `helicopter.core.segments._types`.
SEGMENT_TYPES: tuple[SegmentType, ...] = (
    "background",
    "smooth",
    "text",
    "edge",
    "texture",
    "detail",
)


@dataclass(frozen=True, eq=False, repr=False)
class SegmentReconstruction(Result):
    """How well one segment follows from itself.

    Attributes
    ----------
    label : int
        As given; of `segments` as a number, from 0.
    type : str
        One of `SEGMENT_TYPES`, told from its visible pixels alone.
    bounding_box : tuple of int
        Top, left, bottom and right of its pixels; the last two excluded.
    area : int
        Number of its pixels.
    quality : float
        1 / (1 + 10 MSE) on the [0, 1] scale, over its pixels that were hidden and whose truth is
        known. NaN if there is none: ``stop_reason`` is then ``"nothing_to_score"``.
    understanding_level : str or None
        Of `quality`; see `AutonomousAnalysis`. None without one.
    skill : float
        1 - MSE / MSE of the predictor that knows only the mean colour of what was shown of the
        segment. What has a single colour, or nothing to score, has NaN.
    mae : float
        Mean absolute error over the same pixels, in the image's own units.
    confidence : float
        Mean over its hidden patches of the probability, stated before scoring, that their mean
        absolute error is at most 0.05 of the range.
    iterations : int
        At most what its type allows.
    converged : bool
        Whether `quality` reached the target of its type.
    stop_reason : str
        As in `AutonomousAnalysis`, or ``"nothing_to_score"``: fewer than two of its patches have a
        visible pixel, so that none can be predicted from another.
    priority : float
        Where attention is best spent: its share of all that could not be explained, which is the
        squared error summed over the scored pixels of all segments. They add up to 1.
    evidence : int
        Number of patches that were predicted and scored before it was called finished.
    scored_pixels : int
        What `quality`, `skill` and `mae` rest on.
    target_quality : float
        Of its type, or as asked for.
    """

    label: int
    type: SegmentType
    bounding_box: tuple[int, int, int, int]
    area: int
    quality: float
    understanding_level: UnderstandingLevel | None
    skill: float
    mae: float
    confidence: float
    iterations: int
    converged: bool
    stop_reason: str
    priority: float
    evidence: int
    scored_pixels: int
    target_quality: float


@dataclass(frozen=True, eq=False, repr=False)
class SegmentAwareReconstruction(Result):
    """What `SegmentAwareReconstructionEngine.segment_aware_reconstruction` found.

    Attributes
    ----------
    reconstruction_quality : float
        1 / (1 + 10 MSE) on the [0, 1] scale, over all hidden pixels whose truth is known; `ssim`,
        `psnr_db`, `mae` and `skill` are taken over the same, and are those of `AutonomousAnalysis`.
        NaN if no segment could be scored.
    understanding_level : str or None
    ssim, psnr_db, mae, skill : float
        `skill` sets the error against the mean colour of the image, that of a segment against the
        segment's.
    average_confidence : float
        Mean of the segments' confidences, weighted by their scored pixels.
    understood_share : float
        Share of the scored pixels that lie in segments which converged.
    segments : tuple of SegmentReconstruction
        In the order of their labels.
    labels : int32 ndarray of shape (H, W)
        For each pixel, where its segment stands in `segments`.
    reconstruction : ndarray
        The image redrawn, in the input's shape, dtype and range; what was shown is untouched.
    confidence_map, uncertainty_map, error_map : float32 ndarray of shape (H, W)
    hidden_mask : bool ndarray of shape (H, W)
        As in `AutonomousAnalysis`.
    patch_size, halo : int
    algorithm, strategy, backend, device : str
    seconds : float
        Wall-clock time, that of cutting the image into segments included.
    """

    reconstruction_quality: float
    understanding_level: UnderstandingLevel | None
    ssim: float
    psnr_db: float
    mae: float
    skill: float
    average_confidence: float
    understood_share: float
    segments: tuple[SegmentReconstruction, ...]
    labels: NDArray[np.int32]
    reconstruction: NDArray[Any]
    confidence_map: NDArray[np.float32]
    uncertainty_map: NDArray[np.float32]
    error_map: NDArray[np.float32]
    hidden_mask: NDArray[np.bool_]
    patch_size: int
    halo: int
    algorithm: str
    strategy: str
    backend: str
    device: str
    seconds: float

    def to_pandas(self) -> pd.DataFrame:
        """Return the segments as a table, one row each, indexed by label.

        The bounding box becomes four columns: `top`, `left`, `bottom` and `right`.

        Raises
        ------
        HelicopterError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as problem:
            raise HelicopterError(
                "to_pandas() needs pandas, which is not installed. Run: python -m pip install "
                "pandas; or take result.segments, a tuple of records."
            ) from problem
        columns: dict[str, list[Any]] = {}
        for item in fields(SegmentReconstruction):
            values = [getattr(one, item.name) for one in self.segments]
            if item.name == "bounding_box":
                for place, name in enumerate(("top", "left", "bottom", "right")):
                    columns[name] = [box[place] for box in values]
            else:
                columns[item.name] = values
        return pd.DataFrame(columns).set_index("label")


@dataclass(frozen=True, eq=False, repr=False)
class AnomalyRegion(Result):
    """A part of the image that does not follow from the rest of it.

    Attributes
    ----------
    label : int
        From 1, the most anomalous first; what `AnomalyAnalysis.labels` holds.
    bounding_box : tuple of int
        Top, left, bottom and right of its pixels; the last two excluded.
    area : int
        Number of its pixels.
    peak : tuple of int
        Row and column of its most anomalous pixel.
    score : float
        The anomaly map there.
    p_value : float
        How often as high a peak comes about where nothing is wrong, as far as the rest of the image
        tells.
    q_value : float
        The least `level` at which it would be declared.
    probability : float
        That it is an anomaly: one less the local false discovery rate.
    mean_deviation : float
        Mean over pixels and channels of image less prediction, in the image's own units: positive
        where it is brighter than all that was not declared leads to expect. NaN if that is nothing.
    """

    label: int
    bounding_box: tuple[int, int, int, int]
    area: int
    peak: tuple[int, int]
    score: float
    p_value: float
    q_value: float
    probability: float
    mean_deviation: float


@dataclass(frozen=True, eq=False, repr=False)
class AnomalyAnalysis(Result):
    """What `find_anomalies` found.

    Attributes
    ----------
    anomaly_map : float32 ndarray of shape (H, W)
        How unlike the rest of the image each place is: 0 is the image's median, 1 what 5 % of its
        pixels reach, and it grows with the logarithm of a distance. NaN where a pixel was left out.
    detected : bool ndarray of shape (H, W)
        What is declared an anomaly at `level`.
    labels : int32 ndarray of shape (H, W)
        For each pixel the label of its region; 0 where nothing was declared.
    regions : tuple of AnomalyRegion
        The most anomalous first.
    level : float
        Of the regions declared, the share that may be false, on average.
    candidates : int
        Number of places that were tested.
    data_range : tuple of float
        The values of black and white.
    dtype : str
        Of the image, whose units these are.
    algorithm, backend, device : str
    seconds : float
        Wall-clock time.
    """

    anomaly_map: NDArray[np.float32]
    detected: NDArray[np.bool_]
    labels: NDArray[np.int32]
    regions: tuple[AnomalyRegion, ...]
    level: float
    candidates: int
    data_range: tuple[float, float]
    dtype: str
    algorithm: str
    backend: str
    device: str
    seconds: float
    _image: NDArray[Any] | None = field(default=None)
