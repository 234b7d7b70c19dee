"""The Rust backend: a thin adapter without any logic of its own.

Records cross by the names of their fields: options as they are, results as dicts.
"""

# What Rust returns is stated by its stub, and compared with the reference by tests.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from helicopter.errors import RustAccelerationError
from helicopter.models._network import NetworkWeights

from ._threads import chosen_threads
from .loader import accelerator, gpu_number
from .protocol import (
    AnomalyEvidence,
    AutonomousOptions,
    AutonomousRun,
    Evidence,
    EvidenceRun,
    FineNoise,
    HorizonRun,
    Iteration,
    MdpRun,
    NoiseRun,
    Scores,
    SegmentAwareRun,
    SegmentOutcome,
    StoppingOptions,
    StoppingRun,
    Wave,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Labels, Map, Mask, Progress
    from helicopter.models import UncertaintyModel

    from .protocol import (
        Algorithm,
        BuiltIn,
        DecisionModel,
        MdpMethod,
        SegmentationOptions,
        SegmentTask,
    )

__all__ = ["RustBackend", "as_rust"]


class RustBackend:
    """`helicopter_rs`; see `helicopter.backends.protocol.Backend` for what each function does."""

    name: Literal["rust"] = "rust"

    def __init__(self, device: str = "cpu") -> None:
        self._rust: Any = accelerator()
        if self._rust is None:
            raise RustAccelerationError("the accelerator helicopter_rs cannot be used any more.")
        self._device = device
        self._gpu = gpu_number(device)

    def __reduce__(self) -> tuple[type[RustBackend], tuple[str]]:
        return RustBackend, (self._device,)  # whoever unpickles has an accelerator of their own

    def reconstruct(
        self, context: Image, mask: Mask, algorithm: BuiltIn, model: UncertaintyModel
    ) -> Map:
        engine = self._rust.RegionalReconstructionEngine(
            as_rust(algorithm, self._gpu), model, gpu=self._gpu
        )
        return engine.reconstruct(context, mask, threads=chosen_threads())

    def exemplar(self, context: Image, mask: Mask, seed: int) -> None:
        self._rust.exemplar_fill(context, mask, seed=seed, gpu=self._gpu, threads=chosen_threads())

    def hidden_distance(self, mask: Mask) -> Map:
        return self._rust.hidden_distance(mask, gpu=self._gpu, threads=chosen_threads())

    def hidden_variance(self, context: Image, mask: Mask, model: UncertaintyModel) -> Map:
        return self._rust.hidden_variance(
            context, mask, model, gpu=self._gpu, threads=chosen_threads()
        )

    def noise_level(self, image: Image, included: Mask, quantum: float) -> FineNoise:
        detector = _noise_detector(image.shape[2])
        found = detector.level(image, included, quantum, gpu=self._gpu, threads=chosen_threads())
        return FineNoise(**found)

    def analyze_noise(
        self, image: Image, included: Mask, quantum: float, segments: Labels | None
    ) -> tuple[NoiseRun, list[NoiseRun]]:
        whole, parts = _noise_detector(image.shape[2]).analyze(
            image, included, quantum, segments, gpu=self._gpu, threads=chosen_threads()
        )
        return _noise_run(whole), [_noise_run(part) for part in parts]

    def anomaly_measurements(self, evidence: AnomalyEvidence, width: float) -> NDArray[np.float32]:
        arrays: Any = map(np.ascontiguousarray, evidence)
        evidence = AnomalyEvidence(*arrays)
        return self._rust.anomaly_measurements(evidence, width, threads=chosen_threads())

    def squared_distances(
        self,
        measured: NDArray[np.float32],
        centre: NDArray[np.float64],
        form: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        measured = np.ascontiguousarray(measured)
        return self._rust.squared_distances(measured, centre, form, threads=chosen_threads())

    def segment(self, pixels: NDArray[Any], options: SegmentationOptions) -> Labels:
        return self._rust.segment(pixels, options, threads=chosen_threads())

    def score(self, truth: Image, prediction: Image, hidden: Mask, scored: Mask) -> Scores:
        found = self._rust.score(
            truth, prediction, hidden, scored, gpu=self._gpu, threads=chosen_threads()
        )
        return Scores(**found)

    def autonomous(
        self,
        image: Image,
        missing: Mask,
        algorithm: Algorithm,
        options: AutonomousOptions,
        model: UncertaintyModel,
        progress: Progress | None,
    ) -> AutonomousRun:
        engine = self._rust.AutonomousReconstructionEngine(
            as_rust(algorithm, self._gpu), model, options, gpu=self._gpu
        )
        found = engine.autonomous_analyze(
            image, missing, threads=chosen_threads(), progress=progress
        )
        found["history"] = tuple(Iteration(**step) for step in found["history"])
        found["scores"] = Scores(**found["scores"])
        return AutonomousRun(**found)

    def segment_aware(
        self,
        image: Image,
        missing: Mask,
        chosen: Mask,
        labels: Labels,
        tasks: Sequence[SegmentTask],
        halo: int,
        algorithm: Algorithm,
        options: AutonomousOptions,
        model: UncertaintyModel,
        progress: Progress | None,
    ) -> SegmentAwareRun:
        engine = self._rust.SegmentAwareReconstructionEngine(
            as_rust(algorithm, self._gpu), model, options, halo=halo, gpu=self._gpu
        )
        found = engine.segment_aware_reconstruction(
            image, missing, chosen, labels, tasks, threads=chosen_threads(), progress=progress
        )
        found["outcomes"] = [SegmentOutcome(**one) for one in found["outcomes"]]
        return SegmentAwareRun(**found)

    def compress_dense(
        self,
        transitions: NDArray[np.float64],
        rewards: NDArray[np.float64],
        allowed: NDArray[np.bool_] | None,
    ) -> DecisionModel | None:
        return self._rust.DecisionModel.from_dense(transitions, rewards, allowed)

    def compress_rows(
        self,
        n_states: int,
        states: NDArray[np.int64],
        actions: NDArray[np.int64],
        row_start: NDArray[np.int64],
        columns: NDArray[np.int32] | NDArray[np.int64],
        probabilities: NDArray[np.float64],
        rewards: NDArray[np.float64],
        by_entry: bool = False,
    ) -> DecisionModel | None:
        arrays = (states, actions, row_start, columns, probabilities, rewards)
        return self._rust.DecisionModel.from_rows(
            n_states, *map(np.ascontiguousarray, arrays), by_entry=by_entry
        )

    def solve_mdp(
        self,
        model: DecisionModel,
        discount: float,
        method: MdpMethod,
        epsilon: float,
        max_iterations: int | None,
        progress: Progress | None,
    ) -> MdpRun:
        found = self._decision_model(model).solve(
            discount, method, epsilon, max_iterations, threads=chosen_threads(), progress=progress
        )
        return MdpRun(**found)

    def solve_horizon(
        self, model: DecisionModel, discount: float, horizon: int, terminal: NDArray[np.float64]
    ) -> HorizonRun:
        found = self._decision_model(model).solve_horizon(
            discount, horizon, terminal, threads=chosen_threads()
        )
        return HorizonRun(**found)

    def q_values(
        self, model: DecisionModel, discount: float, value: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return self._decision_model(model).q_values(discount, np.ascontiguousarray(value))

    def _decision_model(self, model: DecisionModel) -> Any:
        """As Rust holds it: what it compressed itself, or what was made of that in Python."""
        if isinstance(model, self._rust.DecisionModel):
            return model
        states = np.repeat(np.arange(len(model.pair_start) - 1), np.diff(model.pair_start))
        return self._rust.DecisionModel.from_rows(
            len(model.pair_start) - 1,
            states,
            model.actions.astype(np.int64),
            model.row_start,
            model.columns,
            model.probabilities,
            model.rewards,
            model.rewards_low,
        )

    def stopping_policy(self, options: StoppingOptions) -> StoppingRun:
        found = self._rust.HatataMDPEngine().stopping_policy(options, threads=chosen_threads())
        return StoppingRun(**found)

    def verify(
        self, successes: NDArray[np.bool_], evidence: Evidence, policy: StoppingRun
    ) -> EvidenceRun:
        looks = np.ascontiguousarray(successes).view(np.uint8)
        found = self._rust.HatataMDPEngine().verify(
            looks, evidence, policy, threads=chosen_threads()
        )
        return EvidenceRun(**found)


@lru_cache(maxsize=2)
def _noise_detector(channels: int) -> Any:
    """The networks as Rust lays them out, once for all."""
    from helicopter.models._noise import noise_model

    rust = cast("Any", accelerator())
    tensors = {name: np.atleast_2d(value) for name, value in noise_model(channels).tensors.items()}
    return rust.ZengezaNoiseDetector(rust.NoiseModel(tensors))


def _noise_run(found: dict[str, Any]) -> NoiseRun:
    found["fine"] = FineNoise(**found["fine"])
    found["waves"] = tuple(Wave(**wave) for wave in found["waves"])
    return NoiseRun(**found)


def as_rust(algorithm: Algorithm, gpu: int | None) -> Any:
    """What predicts, as Rust takes it."""
    if not isinstance(algorithm, NetworkWeights):
        return algorithm
    network = _network(algorithm, gpu)
    if gpu is not None and network.is_lost:
        _network.cache_clear()
        network = _network(algorithm, gpu)
    return network


@lru_cache(maxsize=4)
def _network(weights: NetworkWeights, gpu: int | None) -> Any:
    """The weights as Rust lays them out, once for all engines that use them."""
    rust = cast("Any", accelerator())
    return rust.Network(weights.data) if gpu is None else rust.CudaNetwork(weights.data, gpu)
