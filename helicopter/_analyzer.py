"""All engines together, made once for as many images as there are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from helicopter._shared.checks import (
    LARGEST,
    check_choice,
    check_fraction,
    check_integer,
    is_integer,
)
from helicopter.core.anomalies._detector import AnomalyDetector
from helicopter.core.autonomous_engine import AutonomousReconstructionEngine
from helicopter.core.hatata_mdp import HatataMDPEngine
from helicopter.core.registry import DEFAULT
from helicopter.core.results._analysis import Analysis
from helicopter.core.results._noise import NoiseName
from helicopter.core.segment_aware import SegmentAwareReconstructionEngine
from helicopter.core.validation import check_segments, prepare_values
from helicopter.core.zengeza_detector import ZengezaNoiseDetector
from helicopter.errors import InvalidOptionError

if TYPE_CHECKING:
    from helicopter._shared.progress import ProgressCallback
    from helicopter.core.results._autonomous import AutonomousAnalysis
    from helicopter.core.results._noise import NoiseAnalysis
    from helicopter.core.results._verification import Verification

__all__ = ["Analyzer", "segments_called_for"]

#: Of the engines that predict, and of all; the rest are the autonomous engine's own.
_OF_ALL = ("device", "use_rust_acceleration")
_PREDICTING = ("seed", "weights")
_VERIFIER = ("threshold", "credible_level", "effective_looks")
_POLICY = (
    "required_share",
    "cost_of_look",
    "cost_of_false_accept",
    "cost_of_false_reject",
    "prior",
    "max_looks",
)
#: Takes a fifth of the network's time, and finds as many anomalies: `benchmarks/anomalies.py`.
PARTS_ALGORITHM = "harmonic"
#: An image of lower quality, or of at least this level of noise, is looked at part by part.
EXCELLENT, NOISY = 0.95, "moderate"
#: How many parts that are, unless they would have fewer pixels than this on average.
MOST_SEGMENTS, LEAST_AREA = 250, 400


class Analyzer:
    """Looks at an image with every engine.

    Parameters
    ----------
    parts_algorithm : str, default "harmonic"
        What predicts segments, and patches in search of anomalies.
    **options
        Of `AutonomousReconstructionEngine` and of `HatataMDPEngine.verify`, by their names. Those
        that concern several engines (device, backend, weights, seed) are used for all.

    Raises
    ------
    InvalidOptionError, DeviceError, RustAccelerationError, ModelError
    """

    def __init__(self, *, parts_algorithm: str = PARTS_ALGORITHM, **options: Any) -> None:
        self._verifying, policy = (_taken(options, names) for names in (_VERIFIER, _POLICY))
        machine = {name: options[name] for name in _OF_ALL if name in options}
        predicting: dict[str, Any] = {
            **machine,
            **{name: options[name] for name in _PREDICTING if name in options},
        }
        self._noise, self._verifier = ZengezaNoiseDetector(**machine), HatataMDPEngine(**machine)
        # what is wrong with these is said before any work
        self._verifier.verify([1.0], **self._verifying, **policy)
        if options.get("stop") == "hatata":
            options["stop"] = self._verifier.stopping_policy(**policy)
        if "threshold" in self._verifying:
            options["threshold"] = self._verifying["threshold"]
        self._verifying |= policy
        self.autonomous = AutonomousReconstructionEngine(**options)
        predicting["algorithm"] = parts_algorithm
        if parts_algorithm != DEFAULT:
            predicting.pop("weights", None)  # which only the network has
        self._segmental = SegmentAwareReconstructionEngine(**predicting)
        self._anomalies = AnomalyDetector(**predicting)

    def analyze(
        self,
        image: object,
        *,
        segments: object = "auto",
        anomalies: bool = True,
        level: float = 0.1,
        mask: object = None,
        data_range: tuple[float, float] | None = None,
        progress: bool | ProgressCallback | None = None,
        **options: Any,
    ) -> Analysis:
        """Analyse one image; see `helicopter.analyze`."""
        started = time.perf_counter()
        shared: dict[str, Any] = {"mask": mask, "data_range": data_range}
        check_fraction(level, "level", ends=False)
        if not isinstance(anomalies, (bool, np.bool_)):
            raise InvalidOptionError(f"anomalies: got {anomalies!r}; expected True or False.")
        _, hidden = prepare_values(image, hidden=mask, data_range=data_range)
        _check_parts(segments, hidden.shape)
        # whatever else is wrong with the options is said here
        found = self.autonomous.autonomous_analyze(image, **shared, progress=progress, **options)
        noise = self._noise.analyze(image, **shared)
        parts = odd = None
        if isinstance(segments, str):
            count = min(max(hidden.size // LEAST_AREA, 1), MOST_SEGMENTS)
            segments = count if segments_called_for(found, noise) else None
        if segments is not None:
            parts = self._segmental.segment_aware_reconstruction(
                image, segments=segments, **shared, progress=progress
            )
        if anomalies:
            odd = self._anomalies.find(image, level=level, noise=noise, **shared, progress=progress)
        return Analysis(
            autonomous=found,
            noise=noise,
            segments=parts,
            anomalies=odd,
            verification=self._verify(found),
            seconds=time.perf_counter() - started,
        )

    def _verify(self, found: AutonomousAnalysis) -> Verification | None:
        """Verify with the patches that were scored; None if none was.

        A run that was told when to stop by a policy has a verification of its own.
        """
        if found.verification is None and np.isfinite(found.patch_qualities).any():
            return self._verifier.verify(found, **self._verifying)
        return found.verification


def segments_called_for(found: AutonomousAnalysis, noise: NoiseAnalysis) -> bool:
    """Return whether there is something to tell about parts: not all is understood, or noisy."""
    levels = get_args(NoiseName)
    noisy = levels.index(noise.level) >= levels.index(NOISY)
    return noisy or not found.reconstruction_quality >= EXCELLENT


def _check_parts(segments: object, shape: tuple[int, ...]) -> None:
    """Raise if `segments` is none of what is accepted."""
    if isinstance(segments, str):
        check_choice(segments, "segments", ("auto",))
    elif is_integer(segments):
        check_integer(segments, "segments", 1, min(shape[0] * shape[1], LARGEST))
    elif segments is not None:
        check_segments(segments, shape)


def _taken(options: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: options.pop(name) for name in names if name in options}
