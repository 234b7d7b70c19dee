"""The autonomous loop: hide most of the patches, predict them batch by batch, learn, stop.

Nothing that is stored up to and including the step that predicts a patch depends on the patch's own
truth: choices and confidences come from what was seen before, and only then is the step scored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from helicopter._shared.looks import SequentialVerification
from helicopter._shared.online_scale import OnlineScale
from helicopter._shared.patches import PatchGrid
from helicopter._shared.quality import quality_of
from helicopter._shared.ranking import STREAM_INITIAL, STREAM_TIES, random_ranks
from helicopter.backends.protocol import (
    Algorithm,
    AutonomousOptions,
    AutonomousRun,
    Iteration,
    StopReason,
)

from .regional_engine import fill
from .scores import score
from .strategies import concrete_strategy, priorities
from .uncertainty import hidden_distance, hidden_variance, local_variogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Map, Mask, Progress
    from helicopter.models import UncertaintyModel

__all__ = ["Course", "Loop", "run"]

#: The hidden patches are predicted in about this many batches.
BATCHES = 24
#: The target counts as reached when it lies below this one-sided 95 % bound of the quality ...
BOUND = 1.6448536269514722
#: ... of at least this many patches.
LEAST_EVIDENCE = 10
#: With the book open only the last batches tell how well the rest would be predicted.
RECENT_BATCHES = 3
#: No improvement: the quality so far stays within the plateau over this many iterations.
PATIENCE = 8
#: Where nothing at all is visible, grey is predicted, with the variance of a uniform law.
BLANK, BLANK_VARIANCE = 0.5, 1.0 / 12.0


class Course(NamedTuple):
    """How a run went: what it did step by step, and why it ended.

    `completion` is the share of the hidden patches that the loop did, `average_confidence` a mean
    over all of them (both NaN without any), and `still_hidden` what was hidden when it stopped.
    """

    history: tuple[Iteration, ...]
    stop_reason: StopReason
    completion: float
    average_confidence: float
    still_hidden: Mask


@dataclass
class Loop:
    """State of one run. `context` and `hidden` are what predictions may be made from.

    Only pixels that are `own` are hidden by choice, predicted and scored; the others are there to
    be seen, unless they are missing. By default all are. `chosen` are whole patches to be
    hidden; by default they are chosen here.
    """

    image: Image
    missing: Mask
    algorithm: Algorithm
    options: AutonomousOptions
    model: UncertaintyModel
    own: Mask | None = None
    chosen: Mask | None = None
    grid: PatchGrid = field(init=False)
    scale: OnlineScale = field(init=False)

    def __post_init__(self) -> None:
        height, width, _ = self.image.shape
        self.grid = PatchGrid(height, width, self.options.patch_size)
        self.wanted = np.broadcast_to(True, self.missing.shape) if self.own is None else self.own
        #: whose truth is known
        self.known = self.wanted & ~self.missing
        self.scale = OnlineScale(self.model)
        self.tie_break = random_ranks(self.options.seed, STREAM_TIES, self.grid.count)
        #: of each patch that was predicted: mean variance, and mean distance from what was seen
        self.stated: dict[int, tuple[float, float]] = {}
        self.concerned = self.grid.sums(self.wanted.astype(np.int64)) > 0
        self.waiting = (
            self._hide()
            if self.chosen is None
            else self.grid.sums((self.chosen & self.wanted).astype(np.int64)) > 0
        )
        self.initially_hidden = (self.grid.pixels(self.waiting) & self.wanted) | self.missing
        self.hidden = self.initially_hidden.copy()
        #: what has never truly been seen; differs from `hidden` when the book is closed
        self.unseen = self.initially_hidden.copy()
        self.context = np.where(self.hidden[:, :, None], np.float32(0), self.image)
        self.prediction = self.context.copy()
        self.variance = np.zeros((height, width), dtype=np.float32)
        self.confidence = np.where(self.waiting, 0.0, 1.0)
        self.standing: tuple[Image, Map] | None = None
        self.stated_variance: Map | None = None
        self.stated_distance: Map | None = None
        self.patch_errors: list[tuple[float, int]] = []
        #: of every patch that was looked at; NaN where there is no truth
        self.patch_qualities: list[float] = []
        stop = self.options.stop
        self.verification = (
            None
            if stop is None
            else SequentialVerification(stop.policy, stop.most_looks, stop.time)
        )

    def _hide(self) -> NDArray[np.bool_]:
        """Choose the patches that are shown; return those that wait to be predicted."""
        seen = self.grid.sums(self.known.astype(np.int64)) > 0
        ranks = random_ranks(self.options.seed, STREAM_INITIAL, self.grid.count)
        (candidates,) = np.nonzero(seen)
        order = candidates[np.argsort(ranks[candidates], kind="stable")]
        shown = math.floor(self.options.initial_known * candidates.size + 0.5)
        if candidates.size > 1:  # else it is shown: from what could it be predicted?
            shown = min(shown, candidates.size - 1)
        waiting = self.concerned.copy()
        waiting[order[: max(shown, 1)]] = False
        return waiting

    # -- choosing ----------------------------------------------------------------------------

    def choose(self, strategy: str, batch: int) -> NDArray[np.intp]:
        unknown = self.waiting | ~self.concerned
        priority = priorities(
            strategy, self.grid, unknown, lambda: self.guiding_variance, lambda: self.variogram
        )
        (patches,) = np.nonzero(self.waiting)
        order = np.lexsort((patches, self.tie_break[patches], -priority[patches]))
        return patches[order[:batch]]

    @property
    def variogram(self) -> NDArray[np.float64]:
        return local_variogram(self.context, self.unseen)

    @property
    def guiding_variance(self) -> Map:
        """What to look at next: the algorithm's own variance if it states one."""
        if isinstance(self.algorithm, str):
            return self.base_variance
        return self.predict_everything()[1]

    @property
    def base_variance(self) -> Map:
        """Variance of everything that has not truly been seen, once per state of that."""
        if self.stated_variance is None:
            self.stated_variance = hidden_variance(self.context, self.unseen, self.model)
        return self.stated_variance

    @property
    def distance(self) -> Map:
        """Of everything from what has truly been seen, once per state of that."""
        if self.stated_distance is None:
            self.stated_distance = hidden_distance(self.unseen)
        return self.stated_distance

    # -- predicting --------------------------------------------------------------------------

    def predict_everything(self) -> tuple[Image, Map]:
        """Predict all that is hidden from all that is visible, once per state of the context."""
        if self.standing is None:
            mean, variance = self._mean_of(self.context, self.hidden)
            self.standing = mean, self.base_variance if variance is None else variance
        return self.standing

    def predict_window(self, window: tuple[slice, slice]) -> tuple[Image, Map]:
        """Predict what is hidden in a part of the image from the visible rest of that part."""
        context = np.ascontiguousarray(self.context[window])
        hidden = np.ascontiguousarray(self.hidden[window])
        mean, variance = self._mean_of(context, hidden)
        if variance is None:
            variance = hidden_variance(context, self.unseen[window], self.model)
        return mean, variance

    def _mean_of(self, context: Image, hidden: Mask) -> tuple[Image, Map | None]:
        """The prediction, and its variance where the algorithm states one itself."""
        if hidden.all():
            return np.full_like(context, BLANK), np.full(hidden.shape, BLANK_VARIANCE, np.float32)
        if callable(self.algorithm):
            mean, sigma = self.algorithm(context, hidden)
            return mean, None if sigma is None else np.square(sigma)
        mean = context.copy()
        return mean, fill(mean, hidden, self.algorithm)

    def predict_patch(self, patch: int) -> None:
        """Store the prediction of the still hidden pixels of `patch`, with its uncertainty."""
        box = self.grid.box(patch)
        if self.options.context_size is None:
            prediction, variance = (values[box] for values in self.predict_everything())
            distance = self.distance[box]
        else:
            window = self.grid.window(patch, self.options.context_size)
            inside = tuple(
                slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, window, strict=True)
            )
            predicted = self.predict_window(window)
            prediction, variance = (values[inside] for values in predicted)
            distance = hidden_distance(self.unseen[window])[inside]
        open_pixels = self.hidden[box] & self.wanted[box]
        # a certain prediction would have no logarithm
        base = np.maximum(variance[open_pixels], np.float32(1e-12))
        self.prediction[box][open_pixels] = prediction[open_pixels]
        if patch not in self.stated:  # a confidence is stated once, before the score
            far = distance[open_pixels].mean(dtype=np.float64)
            self.stated[patch] = float(base.mean(dtype=np.float64)), float(far)
            self.confidence[patch] = self.scale.confidence(*self.stated[patch])
        self.variance[box][open_pixels] = base * np.float32(self.scale.variance_factor)

    # -- learning ----------------------------------------------------------------------------

    def score_patch(self, patch: int) -> None:
        """Compare a stored prediction with the truth."""
        box = self.grid.box(patch)
        known = self.known[box]
        if not known.any():
            self.patch_qualities.append(math.nan)
            return
        error = self.prediction[box][known].astype(np.float64) - self.image[box][known]
        squared = float(np.square(error).sum())
        self.patch_errors.append((squared, error.size))
        self.patch_qualities.append(quality_of(squared / error.size))
        self.scale.add(*self.stated[patch], float(np.abs(error).mean()))

    def look_at(self, patches: NDArray[np.intp]) -> int:
        """Score patch by patch, until the evidence is enough; return how many."""
        for looked, patch in enumerate(patches.tolist(), start=1):
            self.score_patch(patch)
            quality = self.patch_qualities[-1]
            if self.verification is None or self.options.stop is None or math.isnan(quality):
                continue
            if self.verification.look(quality >= self.options.stop.threshold) != 0:
                return looked
        return len(patches)

    def accept(self, patches: NDArray[np.intp], *, reveal: bool) -> None:
        """Add predicted patches to the context: the truth, or the prediction."""
        for patch in patches.tolist():
            box = self.grid.box(patch)
            if reveal:
                known = self.known[box]
                self.context[box][known] = self.image[box][known]
                self.hidden[box][known] = False
                self.unseen[box][known] = False
            else:
                open_pixels = self.hidden[box] & self.wanted[box]
                self.context[box][open_pixels] = self.prediction[box][open_pixels]
                self.hidden[box][open_pixels] = False
        self.waiting[patches] = False
        if reveal:
            self.stated_variance = self.stated_distance = None
        # what a differential equation says of the rest stays true once its own words are taken
        # for granted, and a network is no wiser for them: a closed book is predicted once
        if reveal or (callable(self.algorithm) and not self.options.ask_once):
            self.standing = None

    def draw_rest(self, strategy: str, batch: int) -> None:
        """Predict what is still hidden when the loop stops; nothing of it is scored."""
        # windows see little, so each batch is drawn from what has been drawn by then
        while self.options.context_size is not None and self.waiting.any():
            patches = self.choose(strategy, batch)
            for patch in patches.tolist():
                self.predict_patch(patch)
            self.accept(patches, reveal=False)
        rest = self.grid.sums((self.hidden & self.wanted).astype(np.int64)) > 0
        for patch in np.nonzero(rest)[0].tolist():
            self.predict_patch(patch)

    # -- stopping ----------------------------------------------------------------------------

    def stop_reason(self, history: list[Iteration], batch: int) -> StopReason | None:
        if self.verification is not None and self.verification.decision() != 0:
            return "evidence_sufficient"
        if not self.waiting.any():
            return "all_patches_done"
        if (
            self.verification is None
            and (reason := self.quality_reason(history, batch)) is not None
        ):
            return reason
        if len(history) == self.options.max_iterations:
            return "max_iterations"
        return None

    def quality_reason(self, history: list[Iteration], batch: int) -> StopReason | None:
        errors = self.patch_errors
        if self.options.open_book:
            errors = errors[-max(RECENT_BATCHES * batch, LEAST_EVIDENCE) :]
        if len(errors) >= LEAST_EVIDENCE:
            mse = np.array([squared / size for squared, size in errors])
            bound = mse.mean() + BOUND * mse.std(ddof=1) / math.sqrt(mse.size)
            if quality_of(float(bound)) >= self.options.target_quality:
                return "target_quality"
        recent = [step.cumulative_quality for step in history[-PATIENCE:]]
        # never while nothing is scored
        if len(recent) == PATIENCE and np.ptp(recent) < self.options.plateau:
            return "no_improvement"
        return None

    def iterate(self, strategy: str, batch: int) -> Iteration:
        patches = self.choose(strategy, batch)
        for patch in patches.tolist():
            self.predict_patch(patch)
        before = len(self.patch_errors)
        patches = patches[: self.look_at(patches)]
        confidence = float(self.confidence[patches].mean())
        self.accept(patches, reveal=self.options.open_book)
        return Iteration(
            patches=tuple(patches.tolist()),
            strategy=strategy,
            quality=_pooled_quality(self.patch_errors[before:]),
            cumulative_quality=_pooled_quality(self.patch_errors),
            confidence=confidence,
        )

    def walk(self, progress: Progress | None) -> Course:
        """Go through all steps, and predict what is hidden then."""
        strategy = concrete_strategy(self.options)
        (patches,) = np.nonzero(self.waiting)
        batch = -(-patches.size // BATCHES)
        history: list[Iteration] = []
        reason: StopReason | None = None
        if not self.grid.sums((self.known & self.hidden).astype(np.int64)).any():
            reason = "nothing_to_score"
        elif self.verification is not None and self.verification.decision() != 0:
            reason = "evidence_sufficient"  # even the first look would cost more than it is worth
        while reason is None:
            history.append(self.iterate(strategy, batch))
            if progress is not None:
                progress(patches.size - int(self.waiting.sum()), patches.size)
            reason = self.stop_reason(history, batch)
        done = ~self.waiting[patches]
        still_hidden = self.hidden.copy()
        self.draw_rest(strategy, batch)
        nothing = patches.size == 0
        return Course(
            history=tuple(history),
            stop_reason=reason,
            completion=math.nan if nothing else float(done.mean()),
            average_confidence=math.nan if nothing else float(self.confidence[patches].mean()),
            still_hidden=still_hidden,
        )

    @property
    def confidence_map(self) -> Map:
        """Confidence of the pixel's patch; 1 where it was shown."""
        stated = self.grid.pixels(self.confidence)
        return np.where(self.initially_hidden, stated, 1.0).astype(np.float32)


def _pooled_quality(errors: list[tuple[float, int]]) -> float:
    size = sum(size for _, size in errors)
    if size == 0:
        return float("nan")
    return quality_of(sum(squared for squared, _ in errors) / size)


def run(
    image: Image,
    missing: Mask,
    algorithm: Algorithm,
    options: AutonomousOptions,
    model: UncertaintyModel,
    progress: Progress | None,
) -> AutonomousRun:
    """Run the loop; see `helicopter.backends.protocol.Backend.autonomous`."""
    loop = Loop(image, missing, algorithm, options, model)
    course = loop.walk(progress)
    drawn = course.still_hidden if options.open_book else loop.initially_hidden
    remaining = course.still_hidden & ~missing
    reconstruction = np.where(loop.hidden[:, :, None], loop.prediction, loop.context)
    measured = loop.initially_hidden & ~missing
    scored = remaining if options.open_book and remaining.any() else measured
    # a missing truth counts as what was predicted, so that it cannot speak in the windows of SSIM
    truth = np.where(missing[:, :, None], loop.prediction, image)
    return AutonomousRun(
        reconstruction=reconstruction,
        prediction=loop.prediction,
        variance=loop.variance,
        confidence=loop.confidence_map,
        hidden=loop.initially_hidden,
        scored=measured,
        drawn=drawn,
        history=course.history,
        patch_qualities=np.array(loop.patch_qualities, dtype=np.float64),
        stop_reason=course.stop_reason,
        completion=course.completion,
        average_confidence=course.average_confidence,
        scores=score(truth, loop.prediction, loop.initially_hidden, scored),
    )
