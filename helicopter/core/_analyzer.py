"""All engines together, made once for as many images as there are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from helicopter._messages import shown
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
from helicopter.core.registry import DEFAULT, find_algorithm
from helicopter.core.results._analysis import Analysis
from helicopter.core.results._noise import NoiseName
from helicopter.core.segment_aware import SegmentAwareReconstructionEngine
from helicopter.core.validation import check_segments, prepare_values
from helicopter.core.zengeza_detector import ZengezaNoiseDetector
from helicopter.errors import InvalidOptionError

if TYPE_CHECKING:
    import os

    from helicopter._shared.progress import ProgressCallback
    from helicopter.core.evidence._stopping_policy import StoppingPolicy
    from helicopter.core.results._autonomous import AutonomousAnalysis
    from helicopter.core.results._noise import NoiseAnalysis
    from helicopter.core.results._verification import Verification

__all__ = [
    "PARTS_ALGORITHM",
    "Analyzer",
    "EngineOptions",
    "Machine",
    "RunOptions",
    "VerifierOptions",
    "segments_called_for",
]

#: Takes a fifth of the network's time, and finds as many anomalies: `benchmarks/anomalies.py`.
PARTS_ALGORITHM = "harmonic"
#: An image of lower quality, or of at least this level of noise, is looked at part by part.
EXCELLENT, NOISY = 0.95, "moderate"
#: How many parts that are, unless they would have fewer pixels than this on average.
MOST_SEGMENTS, LEAST_AREA = 250, 400


@dataclass(frozen=True)
class Machine:
    """What all engines compute with."""

    device: str = "auto"
    use_rust_acceleration: bool | None = None


@dataclass(frozen=True)
class EngineOptions:
    """Those of `AutonomousReconstructionEngine`; seed and weights are the parts' as well."""

    patch_size: int = 32
    context_size: int | None = None
    algorithm: str = DEFAULT
    strategy: str = "adaptive"
    seed: int = 0
    weights: str | os.PathLike[str] | None = None
    stop: str | StoppingPolicy = "quality"


@dataclass(frozen=True)
class RunOptions:
    """Those of `AutonomousReconstructionEngine.autonomous_analyze`."""

    max_iterations: int | None = None
    target_quality: float = 0.9
    initial_known: float = 0.2
    open_book: bool = False


@dataclass(frozen=True)
class VerifierOptions:
    """Those of `HatataMDPEngine.verify`; the threshold is the autonomous engine's as well."""

    threshold: float = 0.8
    required_share: float = 0.8
    cost_of_look: float = 0.001
    cost_of_false_accept: float = 1.0
    cost_of_false_reject: float = 1.0
    prior: tuple[float, float] = (1.0, 1.0)
    credible_level: float = 0.95
    max_looks: int | None = None
    effective_looks: str = "auto"

    def policy(self, engine: HatataMDPEngine) -> StoppingPolicy:
        """Find the policy that `verify` follows."""
        return engine.stopping_policy(
            self.required_share,
            cost_of_look=self.cost_of_look,
            cost_of_false_accept=self.cost_of_false_accept,
            cost_of_false_reject=self.cost_of_false_reject,
            prior=self.prior,
            max_looks=self.max_looks,
        )

    def verify(self, engine: HatataMDPEngine, evidence: object) -> Verification:
        """Verify with all of these options."""
        return engine.verify(
            evidence,
            self.threshold,
            required_share=self.required_share,
            cost_of_look=self.cost_of_look,
            cost_of_false_accept=self.cost_of_false_accept,
            cost_of_false_reject=self.cost_of_false_reject,
            prior=self.prior,
            credible_level=self.credible_level,
            max_looks=self.max_looks,
            effective_looks=self.effective_looks,
        )


class Analyzer:
    """Looks at an image with every engine.

    Parameters
    ----------
    machine : Machine, optional
    engine : EngineOptions, optional
    verifier : VerifierOptions, optional
    parts_algorithm : str, default "harmonic"
        What predicts segments, and patches in search of anomalies.

    Raises
    ------
    InvalidOptionError, DeviceError, RustAccelerationError, ModelError
    """

    def __init__(
        self,
        machine: Machine = Machine(),
        engine: EngineOptions = EngineOptions(),
        verifier: VerifierOptions = VerifierOptions(),
        *,
        parts_algorithm: str = PARTS_ALGORITHM,
    ) -> None:
        device, rust = machine.device, machine.use_rust_acceleration
        self._noise = ZengezaNoiseDetector(device, rust)
        self._verifier, self._verifying = HatataMDPEngine(device, rust), verifier
        verifier.verify(self._verifier, [1.0])  # what is wrong with these is said before any work
        by_evidence = isinstance(engine.stop, str) and engine.stop == "hatata"
        self.autonomous = AutonomousReconstructionEngine(
            engine.patch_size,
            engine.context_size,
            device,
            rust,
            engine.algorithm,
            engine.strategy,
            engine.seed,
            engine.weights,
            stop=verifier.policy(self._verifier) if by_evidence else engine.stop,
            threshold=verifier.threshold,
        )
        # only the network has weights
        find_algorithm(parts_algorithm)  # or it says what is wrong with the name
        weights = engine.weights if parts_algorithm == DEFAULT else None
        self._segmental = SegmentAwareReconstructionEngine(
            device=device,
            use_rust_acceleration=rust,
            algorithm=parts_algorithm,
            seed=engine.seed,
            weights=weights,
        )
        self._anomalies = AnomalyDetector(parts_algorithm, device, rust, engine.seed, weights)

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
        run: RunOptions = RunOptions(),
    ) -> Analysis:
        """Analyse one image; see `helicopter.analyze`."""
        started = time.perf_counter()
        check_fraction(level, "level", ends=False)
        if not isinstance(anomalies, (bool, np.bool_)):
            raise InvalidOptionError(f"anomalies: got {shown(anomalies)}; expected True or False.")
        _, hidden = prepare_values(image, hidden=mask, data_range=data_range)
        _check_parts(segments, hidden.shape)
        # whatever else is wrong with the options is said here
        found = self.autonomous.autonomous_analyze(
            image,
            max_iterations=run.max_iterations,
            target_quality=run.target_quality,
            initial_known=run.initial_known,
            open_book=run.open_book,
            mask=mask,
            data_range=data_range,
            progress=progress,
        )
        noise = self._noise.analyze(image, mask=mask, data_range=data_range)
        parts = declared = None
        if isinstance(segments, str):
            count = min(max(hidden.size // LEAST_AREA, 1), MOST_SEGMENTS)
            segments = count if segments_called_for(found, noise) else None
        if segments is not None:
            parts = self._segmental.segment_aware_reconstruction(
                image, segments=segments, mask=mask, data_range=data_range, progress=progress
            )
        if anomalies:
            declared = self._anomalies.find(
                image,
                level=level,
                mask=mask,
                data_range=data_range,
                noise=noise,
                progress=progress,
            )
        return Analysis(
            autonomous=found,
            noise=noise,
            segments=parts,
            anomalies=declared,
            verification=self._verify(found),
            seconds=time.perf_counter() - started,
        )

    def _verify(self, found: AutonomousAnalysis) -> Verification | None:
        """Verify with the patches that were scored; None if none was.

        A run that was told when to stop by a policy has a verification of its own.
        """
        if found.verification is None and np.isfinite(found.patch_qualities).any():
            return self._verifying.verify(self._verifier, found)
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
