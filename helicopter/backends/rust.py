"""The Rust backend: a thin adapter without any logic of its own."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from helicopter.errors import RustAccelerationError
from helicopter.models._network import NetworkWeights

from ._threads import chosen_threads
from .loader import accelerator
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

__all__ = ["RustBackend"]


class RustBackend:
    """`helicopter_rs`; see `helicopter.backends.protocol.Backend` for what each function does."""

    name: Literal["rust"] = "rust"

    def __init__(self) -> None:
        self._rust: Any = accelerator()
        if self._rust is None:
            raise RustAccelerationError("the accelerator helicopter_rs cannot be used any more.")

    def __reduce__(self) -> tuple[type[RustBackend], tuple[()]]:
        return RustBackend, ()  # whoever unpickles has an accelerator of their own

    def reconstruct(
        self, context: Image, mask: Mask, algorithm: BuiltIn, model: UncertaintyModel
    ) -> Map:
        engine = self._rust.RegionalReconstructionEngine(
            self._algorithm(algorithm), self._model(model)
        )
        return cast("Map", engine.reconstruct(context, mask, threads=chosen_threads()))

    def exemplar(self, context: Image, mask: Mask, seed: int) -> None:
        self._rust.exemplar_fill(context, mask, seed=seed, threads=chosen_threads())

    def hidden_distance(self, mask: Mask) -> Map:
        return cast("Map", self._rust.hidden_distance(mask, threads=chosen_threads()))

    def hidden_variance(self, context: Image, mask: Mask, model: UncertaintyModel) -> Map:
        variance = self._rust.hidden_variance(
            context, mask, self._model(model), threads=chosen_threads()
        )
        return cast("Map", variance)

    def noise_level(self, image: Image, included: Mask, quantum: float) -> FineNoise:
        found = _noise_detector(image.shape[2]).level(
            image, included, quantum, threads=chosen_threads()
        )
        return _fine(found)

    def analyze_noise(
        self, image: Image, included: Mask, quantum: float, segments: Labels | None
    ) -> tuple[NoiseRun, list[NoiseRun]]:
        whole, parts = _noise_detector(image.shape[2]).analyze(
            image, included, quantum, segments, threads=chosen_threads()
        )
        return _noise_run(whole), [_noise_run(part) for part in parts]

    def anomaly_measurements(self, evidence: AnomalyEvidence, width: float) -> NDArray[np.float32]:
        arrays = map(np.ascontiguousarray, evidence)
        measured = self._rust.anomaly_measurements(*arrays, width, threads=chosen_threads())
        return cast("NDArray[np.float32]", measured)

    def squared_distances(
        self,
        measured: NDArray[np.float32],
        centre: NDArray[np.float64],
        form: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        found = self._rust.squared_distances(
            np.ascontiguousarray(measured), centre, form, threads=chosen_threads()
        )
        return cast("NDArray[np.float64]", found)

    def segment(self, pixels: NDArray[Any], options: SegmentationOptions) -> Labels:
        labels = self._rust.segment(pixels, **vars(options), threads=chosen_threads())
        return cast("Labels", labels)

    def score(self, truth: Image, prediction: Image, hidden: Mask, scored: Mask) -> Scores:
        return Scores(
            *self._rust.score(truth, prediction, hidden, scored, threads=chosen_threads())
        )

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
            self._algorithm(algorithm),
            self._model(model),
            patch_size=options.patch_size,
            context_size=options.context_size,
            strategy=options.strategy,
            seed=options.seed,
        )
        stop = options.stop
        run = engine.autonomous_analyze(
            image,
            missing,
            max_iterations=options.max_iterations,
            target_quality=options.target_quality,
            initial_known=options.initial_known,
            open_book=options.open_book,
            stop=None if stop is None else (stop.threshold, stop.policy[:3], *stop[2:]),
            threads=chosen_threads(),
            progress=progress,
        )
        run["history"] = tuple(Iteration(*step) for step in run["history"])
        run["scores"] = Scores(*run["scores"])
        return AutonomousRun(**run)

    def segment_aware(
        self,
        image: Image,
        missing: Mask,
        labels: Labels,
        tasks: Sequence[SegmentTask],
        halo: int,
        algorithm: Algorithm,
        options: AutonomousOptions,
        model: UncertaintyModel,
        progress: Progress | None,
    ) -> SegmentAwareRun:
        engine = self._rust.SegmentAwareReconstructionEngine(
            self._algorithm(algorithm),
            self._model(model),
            patch_size=options.patch_size,
            strategy=options.strategy,
            seed=options.seed,
            halo=halo,
        )
        prediction, variance, confidence, hidden, outcomes = engine.segment_aware_reconstruction(
            image,
            missing,
            labels,
            [tuple(task) for task in tasks],
            initial_known=options.initial_known,
            threads=chosen_threads(),
            progress=progress,
        )
        return SegmentAwareRun(
            prediction, variance, confidence, hidden, [SegmentOutcome(*one) for one in outcomes]
        )

    def compress_dense(
        self,
        transitions: NDArray[np.float64],
        rewards: NDArray[np.float64],
        allowed: NDArray[np.bool_] | None,
    ) -> DecisionModel | None:
        made = self._rust.DecisionModel.from_dense(transitions, rewards, allowed)
        return cast("DecisionModel | None", made)

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
        made = self._rust.DecisionModel.from_rows(
            n_states, *map(np.ascontiguousarray, arrays), by_entry=by_entry
        )
        return cast("DecisionModel | None", made)

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
        return MdpRun(*found)

    def solve_horizon(
        self, model: DecisionModel, discount: float, horizon: int, terminal: NDArray[np.float64]
    ) -> HorizonRun:
        found = self._decision_model(model).solve_horizon(
            discount, horizon, terminal, threads=chosen_threads()
        )
        return HorizonRun(*found)

    def q_values(
        self, model: DecisionModel, discount: float, value: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        found = self._decision_model(model).q_values(discount, np.ascontiguousarray(value))
        return cast("NDArray[np.float64]", found)

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
        found = self._rust.HatataMDPEngine().stopping_policy(
            options.required_share,
            options.prior,
            (options.look, options.false_accept, options.false_reject),
            options.horizon,
            short=options.short,
            density=options.density,
            threads=chosen_threads(),
        )
        return StoppingRun(*found)

    def verify(
        self, successes: NDArray[np.bool_], evidence: Evidence, policy: StoppingRun
    ) -> EvidenceRun:
        found = self._rust.HatataMDPEngine().verify(
            np.ascontiguousarray(successes).view(np.uint8),
            policy[:3],
            **evidence._asdict(),
            threads=chosen_threads(),
        )
        return EvidenceRun(*found)

    def _algorithm(self, algorithm: Algorithm) -> Any:
        return _network(algorithm) if isinstance(algorithm, NetworkWeights) else algorithm

    def _model(self, model: UncertaintyModel) -> Any:
        return self._rust.UncertaintyModel(
            model.variance_table,
            model.log_mae_offset,
            model.log_mae_distance,
            model.log_mae_spread,
            model.log_mae_prior,
        )


@lru_cache(maxsize=2)
def _noise_detector(channels: int) -> Any:
    """The networks as Rust lays them out, once for all."""
    from helicopter.models._noise import noise_model

    rust = cast("Any", accelerator())
    tensors = {name: np.atleast_2d(value) for name, value in noise_model(channels).tensors.items()}
    return rust.ZengezaNoiseDetector(rust.NoiseModel(tensors))


def _noise_run(found: dict[str, Any]) -> NoiseRun:
    found["fine"] = _fine(found["fine"])
    found["waves"] = tuple(Wave(*wave) for wave in found["waves"])
    return NoiseRun(**found)


def _fine(found: tuple[float, float, float, tuple[float, ...]]) -> FineNoise:
    sigma, low, high, by_channel = found
    return FineNoise(sigma, low, high, tuple(by_channel))


@lru_cache(maxsize=4)
def _network(weights: NetworkWeights) -> Any:
    """The weights as Rust lays them out, once for all engines that use them."""
    return cast("Any", accelerator()).Network(weights.data)
