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
    "stop",
)
_VERIFIER_OPTIONS = ("threshold", "credible_level", "effective_looks")
_POLICY_OPTIONS = (
    "required_share",
    "cost_of_look",
    "cost_of_false_accept",
    "cost_of_false_reject",
    "prior",
    "max_looks",
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
        `HatataMDPEngine.verify`, by their names; those that concern several engines (device,
        backend, mask, data range) are used for all of these.

    Returns
    -------
    Analysis

    Raises
    ------
    InvalidImageError, InvalidMaskError, InvalidOptionError, DeviceError, RustAccelerationError,
    ModelError
    """
    started = time.perf_counter()
    of_engine, of_verifier, of_policy = (
        {name: options.pop(name) for name in names if name in options}
        for names in (_ENGINE_OPTIONS, _VERIFIER_OPTIONS, _POLICY_OPTIONS)
    )
    machine = of_engine.get("device", "auto"), of_engine.get("use_rust_acceleration")
    detector, verifier = ZengezaNoiseDetector(*machine), HatataMDPEngine(*machine)
    # what is wrong with these is said before any work
    verifier.verify([1.0], **of_verifier, **of_policy)
    if of_engine.get("stop") == "hatata":
        of_engine["stop"] = verifier.stopping_policy(**of_policy)
    if "threshold" in of_verifier:
        of_engine["threshold"] = of_verifier["threshold"]
    engine = AutonomousReconstructionEngine(**of_engine)
    autonomous = engine.autonomous_analyze(image, **options)
    # what was wrong with the options has been said by now
    noise = detector.analyze(image, mask=options.get("mask"), data_range=options.get("data_range"))
    return Analysis(
        autonomous=autonomous,
        noise=noise,
        verification=verify_scored(verifier, autonomous, {**of_verifier, **of_policy}),
        seconds=time.perf_counter() - started,
    )


def verify_scored(
    verifier: HatataMDPEngine, found: AutonomousAnalysis, options: Mapping[str, Any]
) -> Verification | None:
    """Verify with the patches that an autonomous run has scored; None if it has scored none.

    A run that was told when to stop by a policy has a verification of its own.
    """
    if found.verification is None and np.isfinite(found.patch_qualities).any():
        return verifier.verify(found, **options)
    return found.verification


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
