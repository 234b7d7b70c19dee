"""What `find_anomalies` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from helicopter._shared.result import Result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["AnomalyAnalysis", "AnomalyRegion"]


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
