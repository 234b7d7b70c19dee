"""The reference backend as the engines see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from . import autonomous_engine, regional_engine, scores, uncertainty

if TYPE_CHECKING:
    from helicopter.backends.protocol import (
        Algorithm,
        AutonomousOptions,
        AutonomousRun,
        BuiltIn,
        Image,
        Map,
        Mask,
        Progress,
        Scores,
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
