"""What predicts hidden pixels, and the autonomous loop around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Map, Mask, Progress
    from helicopter.models import NetworkWeights, UncertaintyModel

    from .decisions import EvidenceStop

__all__ = [
    "PLATEAU",
    "Algorithm",
    "AutonomousOptions",
    "AutonomousRun",
    "BuiltIn",
    "Iteration",
    "Kernel",
    "PdeKind",
    "PredictionBackend",
    "Scores",
    "StopReason",
]

PdeKind = Literal["harmonic", "biharmonic"]
StopReason = Literal[
    "target_quality",
    "all_patches_done",
    "no_improvement",
    "max_iterations",
    "evidence_sufficient",
    "nothing_to_score",
]
#: No improvement: over several iterations the quality stays within this.
PLATEAU = 1e-3
#: (context, mask) -> (prediction, sigma (H, W) or None); see `helicopter.core.registry`.
Kernel: TypeAlias = "Callable[[Image, Mask], tuple[Image, Map | None]]"
#: What a backend predicts with by itself: an equation, or a network on top of the harmonic one.
BuiltIn: TypeAlias = "PdeKind | NetworkWeights"
Algorithm: TypeAlias = "BuiltIn | Kernel"


@dataclass(frozen=True)
class AutonomousOptions:
    """Options of the autonomous engine, checked and complete.

    With `stop`, neither the target nor a lack of improvement stops the loop. The quality has come
    to rest when it stays within `plateau`. With `ask_once`, what predicts is asked once for all
    that is hidden, and not again for what is left after every step; a closed book only.
    """

    patch_size: int
    context_size: int | None
    strategy: str
    seed: int
    max_iterations: int | None
    target_quality: float
    initial_known: float
    open_book: bool
    stop: EvidenceStop | None = None
    plateau: float = PLATEAU
    ask_once: bool = False


class Scores(NamedTuple):
    """Measures over a set of hidden pixels, on the [0, 1] scale."""

    mse: float
    mae: float
    ssim: float
    baseline_mse: float


class Iteration(NamedTuple):
    """One step of the autonomous loop; see `helicopter.core.IterationRecord`."""

    patches: tuple[int, ...]
    strategy: str
    quality: float
    cumulative_quality: float
    confidence: float


@dataclass(frozen=True)
class AutonomousRun:
    """What a backend returns from the autonomous loop, on the [0, 1] scale.

    `patch_qualities` are those of the patches in `history`, in that order, NaN where there is no
    truth. `hidden` is what was hidden at the start, `scored` the part of it whose truth is known,
    `drawn` the part that is a prediction in `reconstruction` (all of it unless the book was open).
    """

    reconstruction: Image
    prediction: Image
    variance: Map
    confidence: Map
    hidden: Mask
    scored: Mask
    drawn: Mask
    history: tuple[Iteration, ...]
    patch_qualities: NDArray[np.float64]
    stop_reason: StopReason
    completion: float
    average_confidence: float
    scores: Scores


class PredictionBackend(Protocol):
    """Fills hidden pixels."""

    def reconstruct(
        self, context: Image, mask: Mask, algorithm: BuiltIn, model: UncertaintyModel
    ) -> Map:
        """Fill the hidden pixels of `context` in place; return the variance of their errors."""

    def exemplar(self, context: Image, mask: Mask, seed: int) -> None:
        """Fill the hidden pixels of `context` in place with patches found elsewhere in it."""

    def hidden_distance(self, mask: Mask) -> Map:
        """Distance of every pixel to the nearest visible one, in pixels, at most 64."""

    def hidden_variance(self, context: Image, mask: Mask, model: UncertaintyModel) -> Map:
        """Predict the error variance at hidden pixels; 0 at visible ones."""

    def score(self, truth: Image, prediction: Image, hidden: Mask, scored: Mask) -> Scores:
        """Compare over `scored`; what is not `hidden` makes the baseline's mean colour."""

    def autonomous(
        self,
        image: Image,
        missing: Mask,
        algorithm: Algorithm,
        options: AutonomousOptions,
        model: UncertaintyModel,
        progress: Progress | None,
    ) -> AutonomousRun:
        """Run the whole loop of the autonomous engine."""
