"""The everyday calls: how well an image can be explained from itself; filling what is hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from helicopter._analyzer import PARTS_ALGORITHM, Analyzer
from helicopter.core.regional_engine import RegionalReconstructionEngine
from helicopter.core.registry import DEFAULT

if TYPE_CHECKING:
    import os

    from helicopter._shared.progress import ProgressCallback
    from helicopter.core.results._analysis import Analysis
    from helicopter.core.results._regional import RegionalReconstruction

__all__ = ["analyze", "reconstruct"]

_OF_CALL = ("max_iterations", "target_quality", "initial_known", "open_book")


def analyze(
    image: object,
    *,
    segments: object = "auto",
    anomalies: bool = True,
    level: float = 0.1,
    parts_algorithm: str = PARTS_ALGORITHM,
    mask: object = None,
    data_range: tuple[float, float] | None = None,
    progress: bool | ProgressCallback | None = None,
    **options: Any,
) -> Analysis:
    """Tell how well an image can be explained from its own context, and what cannot be.

    How noisy it is; how far it can be redrawn from a fifth of its patches; which parts follow from
    themselves, if not all does; what is unlike all the rest, and no noise. The patches that were
    scored on the way are evidence: `Analysis.verification` says whether they are enough to call the
    image understood.

    Parameters
    ----------
    image : array_like
        See `AutonomousReconstructionEngine.autonomous_analyze`.
    segments : "auto", None, int, pair of int, or integer array_like of shape (H, W)
        Parts to look at one by one: see `SegmentAwareReconstructionEngine`. ``"auto"``: 250 of them
        (or as many as have 400 pixels each), if the quality is below 0.95 or the noise at least
        moderate. None: the image as a whole only.
    anomalies : bool, default True
        Whether to look for what is unlike the rest; see `find_anomalies`.
    level : float, default 0.1
        Of the anomalies declared, the share that may be false, on average.
    parts_algorithm : str, default "harmonic"
        What predicts segments, and patches in search of anomalies. ``"network"`` takes five times
        as long, redraws segments better and finds about as many anomalies.
    mask : bool array_like of shape (H, W), optional
        True = hidden: pixels that are missing from the image itself.
    data_range : tuple of float, optional
        The values of black and white.
    progress : None, True or callable
        Of the engines that take their time, one after the other.
    **options
        Of `AutonomousReconstructionEngine`, of its `autonomous_analyze` and of
        `HatataMDPEngine.verify`, by their names; those that concern several engines (device,
        backend, weights, seed) are used for all of these.

    Returns
    -------
    Analysis

    Raises
    ------
    InvalidImageError, InvalidMaskError, InvalidOptionError, DeviceError, RustAccelerationError,
    ModelError
    """
    of_call = {name: options.pop(name) for name in _OF_CALL if name in options}
    return Analyzer(parts_algorithm=parts_algorithm, **options).analyze(
        image,
        segments=segments,
        anomalies=anomalies,
        level=level,
        mask=mask,
        data_range=data_range,
        progress=progress,
        **of_call,
    )


def reconstruct(
    image: object,
    mask: object,
    algorithm: str = DEFAULT,
    *,
    data_range: tuple[float, float] | None = None,
    device: str = "auto",
    use_rust_acceleration: bool | None = None,
    weights: str | os.PathLike[str] | None = None,
    progress: bool | ProgressCallback | None = None,
) -> RegionalReconstruction:
    """Fill the hidden pixels of an image; the short form of `RegionalReconstructionEngine`.

    Parameters
    ----------
    image : array_like
        See `RegionalReconstructionEngine.reconstruct`.
    mask : bool array_like of shape (H, W)
        True = hidden, to be predicted.
    algorithm : str, default "network"
    data_range : tuple of float, optional
    device : str, default "auto"
    use_rust_acceleration : bool, optional
    weights : path-like, optional
    progress : None, True or callable

    Returns
    -------
    RegionalReconstruction

    Examples
    --------
    >>> import numpy as np
    >>> import helicopter
    >>> ramp = np.linspace(0, 1, 32, dtype=np.float32)[None, :].repeat(32, axis=0)
    >>> hole = np.zeros(ramp.shape, dtype=bool)
    >>> hole[10:20, 10:20] = True
    >>> filled = helicopter.reconstruct(ramp, hole, "harmonic").reconstruction
    >>> bool(np.abs(filled - ramp).max() < 1e-6)
    True
    """
    engine = RegionalReconstructionEngine(algorithm, device, use_rust_acceleration, weights=weights)
    return engine.reconstruct(image, mask, data_range=data_range, progress=progress)
