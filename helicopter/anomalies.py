"""The anomalies of an image in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helicopter.core.anomalies._detector import AnomalyDetector
from helicopter.core.registry import DEFAULT

if TYPE_CHECKING:
    import os

    from helicopter._shared.progress import ProgressCallback
    from helicopter.core.results._noise import NoiseAnalysis
    from helicopter.core.results._parts import AnomalyAnalysis

__all__ = ["find_anomalies"]


def find_anomalies(
    image: object,
    *,
    level: float = 0.1,
    segments: object = None,
    mask: object = None,
    data_range: tuple[float, float] | None = None,
    algorithm: str = DEFAULT,
    device: str = "auto",
    use_rust_acceleration: bool | None = None,
    weights: str | os.PathLike[str] | None = None,
    seed: int = 0,
    noise: NoiseAnalysis | None = None,
    progress: bool | ProgressCallback | None = None,
) -> AnomalyAnalysis:
    """Find what in an image does not follow from the rest of it, and is no noise either.

    The short form of `AnomalyDetector.find`, where the parameters are described.

    Parameters
    ----------
    image : array_like
    level : float, default 0.1
        The share of the declared regions that may be false, on average.
    segments : int or integer array_like of shape (H, W), optional
        Regions are then made of whole segments.
    mask : bool array_like of shape (H, W), optional
        True = hidden, left out.
    data_range : tuple of float, optional
    algorithm : str, default "network"
    device : str, default "auto"
    use_rust_acceleration : bool, optional
    weights : path-like, optional
    seed : int, default 0
    noise : NoiseAnalysis, optional
        Of this image with this mask, if it is known already.
    progress : None, True or callable

    Returns
    -------
    AnomalyAnalysis

    Examples
    --------
    >>> import numpy as np
    >>> import helicopter
    >>> y, x = np.mgrid[:128, :128]
    >>> rng = np.random.default_rng(0)
    >>> cloth = 0.5 + 0.1 * np.sin(x) * np.sin(y) + rng.normal(0, 0.02, (128, 128))
    >>> cloth[60:72, 40:52] -= 0.25
    >>> found = helicopter.find_anomalies(cloth)
    >>> [bool(found.detected[66, 46]), len(found.regions)]
    [True, 1]
    """
    detector = AnomalyDetector(algorithm, device, use_rust_acceleration, seed, weights)
    return detector.find(
        image,
        level=level,
        segments=segments,
        mask=mask,
        data_range=data_range,
        noise=noise,
        progress=progress,
    )
