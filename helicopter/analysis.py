"""The engines together: one call that tells how well an image can be explained from itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter.core.autonomous_engine import AutonomousReconstructionEngine
from helicopter.core.hatata_mdp import HatataMDPEngine
from helicopter.core.regional_engine import RegionalReconstructionEngine
from helicopter.core.registry import DEFAULT
from helicopter.core.results import Analysis, RegionalReconstruction
from helicopter.core.zengeza_detector import ZengezaNoiseDetector

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from helicopter.core.hatata_results import Verification
    from helicopter.core.results import AutonomousAnalysis
    from helicopter.progress import ProgressCallback

__all__ = ["analyze", "reconstruct", "verify_scored"]

_ENGINE_OPTIONS = (
    "patch_size",
    "context_size",
    "device",
    "use_rust_acceleration",
    "algorithm",
    "strategy",
    "seed",
    "weights",
)
_VERIFIER_OPTIONS = (
    "threshold",
    "required_share",
    "cost_of_look",
    "cost_of_false_accept",
    "cost_of_false_reject",
    "prior",
    "credible_level",
    "max_looks",
    "effective_looks",
)


def analyze(image: object, **options: Any) -> Analysis:
    """Tell how well an image can be explained from its own context, and how noisy it is.

    The patches that were scored on the way are evidence: `Analysis.verification` says whether they
    are enough to call the image understood.

    Parameters
    ----------
    image : array_like
        See `AutonomousReconstructionEngine.autonomous_analyze`.
    **options
        Of `AutonomousReconstructionEngine`, of its `autonomous_analyze` and of
        `HatataMDPEngine.verify`, by their names; those that concern the noise as well (device,
        backend, mask, data range) are used for both.

    Returns
    -------
    Analysis

    Raises
    ------
    InvalidImageError, InvalidMaskError, InvalidOptionError, DeviceError, RustAccelerationError,
    ModelError
    """
    started = time.perf_counter()
    of_engine = {name: options.pop(name) for name in _ENGINE_OPTIONS if name in options}
    engine = AutonomousReconstructionEngine(**of_engine)
    machine = of_engine.get("device", "auto"), of_engine.get("use_rust_acceleration")
    detector, verifier = ZengezaNoiseDetector(*machine), HatataMDPEngine(*machine)
    of_verifier = {name: options.pop(name) for name in _VERIFIER_OPTIONS if name in options}
    verifier.verify([1.0], **of_verifier)  # what is wrong with these is said before any work
    autonomous = engine.autonomous_analyze(image, **options)
    # what was wrong with the options has been said by now
    noise = detector.analyze(image, mask=options.get("mask"), data_range=options.get("data_range"))
    return Analysis(
        autonomous=autonomous,
        noise=noise,
        verification=verify_scored(verifier, autonomous, of_verifier),
        seconds=time.perf_counter() - started,
    )


def verify_scored(
    verifier: HatataMDPEngine, found: AutonomousAnalysis, options: Mapping[str, Any]
) -> Verification | None:
    """Verify with the patches that an autonomous run has scored; None if it has scored none."""
    if not np.isfinite(found.patch_qualities).any():
        return None
    return verifier.verify(found, **options)


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
