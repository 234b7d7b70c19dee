"""The reference backend as the engines see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from . import autonomous_engine, regional_engine, scores, uncertainty

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from helicopter.backends.protocol import (
        Algorithm,
        AnomalyEvidence,
        AutonomousOptions,
        AutonomousRun,
        BuiltIn,
        DecisionModel,
        Evidence,
        EvidenceRun,
        FineNoise,
        HorizonRun,
        Image,
        Labels,
        Map,
        Mask,
        MdpMethod,
        MdpRun,
        NoiseRun,
        Progress,
        Scores,
        SegmentationOptions,
        SegmentAwareRun,
        SegmentTask,
        StoppingOptions,
        StoppingRun,
        UncertaintyModel,
    )

__all__ = ["ReferenceBackend"]


class ReferenceBackend:
    """NumPy and SciPy; see `helicopter.backends.protocol.Backend` for what each function does."""

    name: Literal["python"] = "python"

    def reconstruct(
        self, context: Image, mask: Mask, algorithm: BuiltIn, model: UncertaintyModel
    ) -> Map:
        return regional_engine.reconstruct(context, mask, algorithm, model)

    def exemplar(self, context: Image, mask: Mask, seed: int) -> None:
        from . import exemplar

        exemplar.fill(context, mask, seed)

    def hidden_distance(self, mask: Mask) -> Map:
        return uncertainty.hidden_distance(mask)

    def hidden_variance(self, context: Image, mask: Mask, model: UncertaintyModel) -> Map:
        return uncertainty.hidden_variance(context, mask, model)

    def noise_level(self, image: Image, included: Mask, quantum: float) -> FineNoise:
        from . import zengeza_detector

        return zengeza_detector.noise_level(image, included, quantum)

    def analyze_noise(
        self, image: Image, included: Mask, quantum: float, segments: Labels | None
    ) -> tuple[NoiseRun, list[NoiseRun]]:
        from . import zengeza_detector

        return zengeza_detector.analyze_noise(image, included, quantum, segments)

    def anomaly_measurements(self, evidence: AnomalyEvidence, width: float) -> NDArray[np.float32]:
        from . import anomaly_map

        return anomaly_map.measure(evidence, width)

    def squared_distances(
        self,
        measured: NDArray[np.float32],
        centre: NDArray[np.float64],
        form: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        from . import anomaly_map

        return anomaly_map.squared_distances(measured, centre, form)

    def segment(self, pixels: NDArray[Any], options: SegmentationOptions) -> Labels:
        from . import segmentation

        return segmentation.segment(pixels, options)

    def score(self, truth: Image, prediction: Image, hidden: Mask, scored: Mask) -> Scores:
        return scores.score(truth, prediction, hidden, scored)

    def autonomous(
        self,
        image: Image,
        missing: Mask,
        algorithm: Algorithm,
        options: AutonomousOptions,
        model: UncertaintyModel,
        progress: Progress | None,
    ) -> AutonomousRun:
        return autonomous_engine.run(image, missing, algorithm, options, model, progress)

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
        from . import segment_aware

        return segment_aware.run(
            image, missing, labels, tasks, halo, algorithm, options, model, progress
        )

    def compress_dense(
        self,
        transitions: NDArray[np.float64],
        rewards: NDArray[np.float64],
        allowed: NDArray[np.bool_] | None,
    ) -> DecisionModel | None:
        from .mdp import rows

        return rows.compress_dense(transitions, rewards, allowed)

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
        from .mdp import rows

        return rows.compress_rows(
            n_states, states, actions, row_start, columns, probabilities, rewards, by_entry
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
        from .mdp import solver

        return solver.solve(model, discount, method, epsilon, max_iterations, progress)

    def solve_horizon(
        self, model: DecisionModel, discount: float, horizon: int, terminal: NDArray[np.float64]
    ) -> HorizonRun:
        from .mdp import horizon as finite

        return finite.solve(model, discount, horizon, terminal)

    def q_values(
        self, model: DecisionModel, discount: float, value: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        from .mdp import solver

        return solver.q_values(model, discount, value)

    def stopping_policy(self, options: StoppingOptions) -> StoppingRun:
        from . import hatata_mdp

        return hatata_mdp.stopping_policy(options)

    def verify(
        self, successes: NDArray[np.bool_], evidence: Evidence, policy: StoppingRun
    ) -> EvidenceRun:
        from . import hatata_mdp

        return hatata_mdp.verify(successes, evidence, policy)
