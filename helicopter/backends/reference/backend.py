"""The reference backend as the engines see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from . import autonomous_engine, regional_engine, scores, uncertainty

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from helicopter.backends.protocol import (
        Algorithm,
        AutonomousOptions,
        AutonomousRun,
        BuiltIn,
        Evidence,
        EvidenceRun,
        FineNoise,
        Image,
        Labels,
        Map,
        Mask,
        NoiseRun,
        Progress,
        Scores,
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

    def stopping_policy(self, options: StoppingOptions) -> StoppingRun:
        from . import hatata_mdp

        return hatata_mdp.stopping_policy(options)

    def verify(
        self, successes: NDArray[np.bool_], evidence: Evidence, policy: StoppingRun
    ) -> EvidenceRun:
        from . import hatata_mdp

        return hatata_mdp.verify(successes, evidence, policy)
