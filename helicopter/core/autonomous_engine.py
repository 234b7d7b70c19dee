"""Autonomous reconstruction: from a fifth of an image to the whole, with a verdict."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from helicopter._messages import shown
from helicopter._shared.checks import check_choice, check_fraction, check_integer
from helicopter._shared.patches import PatchGrid
from helicopter._shared.progress import ProgressCallback, as_callback
from helicopter.backends.protocol import (
    Algorithm,
    AutonomousOptions,
    AutonomousRun,
    Evidence,
    EvidenceStop,
    Kernel,
)
from helicopter.errors import InvalidOptionError

from .evidence._stopping_policy import StoppingPolicy
from .hatata_mdp import read_run
from .prediction._engine import PredictingEngine
from .prediction._scores import error_map, psnr_db, quality_of, skill_of
from .registry import DEFAULT
from .results._autonomous import AutonomousAnalysis, IterationRecord, understanding_level
from .validation import PreparedImage, prepare_image, require_visible

if TYPE_CHECKING:
    import os

    from helicopter._shared.arrays import Image, Map, Mask

    from .results._verification import Verification

__all__ = ["STOPS", "STRATEGIES", "AutonomousReconstructionEngine"]

#: What may decide when to stop.
STOPS: tuple[str, ...] = ("quality", "hatata")
#: Of the interval of the share of patches that are understood.
CREDIBLE_LEVEL = 0.95

#: What may choose the patches to predict next.
STRATEGIES: tuple[str, ...] = (
    "adaptive",
    "random",
    "edge_guided",
    "content_aware",
    "uncertainty_guided",
    "progressive_refinement",
)


class AutonomousReconstructionEngine(PredictingEngine):
    """Hides most of an image, redraws it from the rest, and says how well that went.

    Parameters
    ----------
    patch_size : int, default 32
        Side of the square patches, in pixels.
    context_size : int, optional
        Side of the window around a patch from which its prediction may draw, at least
        `patch_size`. None: everything visible.
    device : str, default "auto"
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    use_rust_acceleration : bool, optional
        True: Rust or an error; False: Python; None: Rust if it can be used.
    algorithm : str, default "network"
        See `RegionalReconstructionEngine`.
    strategy : str, default "adaptive"
        What chooses the patches to predict next: ``"random"``, ``"edge_guided"`` (most known
        neighbours), ``"content_aware"`` (most detail nearby), ``"uncertainty_guided"`` (largest
        predicted uncertainty), ``"progressive_refinement"`` (coarse to fine) or ``"adaptive"``
        (what measured best).
    seed : int, default 0
        Of the choice of the first patches, and between equally good ones.
    weights : path-like, optional
        A network of your own, written by ``helicopter train``; by default that of the package.
    stop : str or StoppingPolicy, default "quality"
        ``"quality"``: stop at the target quality, or when nothing improves any more.
        ``"hatata"``: stop as soon as the patches that were scored are evidence enough to say
        whether the image is understood (`HatataMDPEngine`); a `StoppingPolicy` does the same with
        costs of your own. Such looks must be a fair sample of the image, so ``"adaptive"`` then
        means ``"random"``; the other strategies choose patches that are easier or harder than most.
    threshold : float, default 0.8
        With ``stop="hatata"``, the quality from which on a patch counts as understood.

    Raises
    ------
    InvalidOptionError, DeviceError, RustAccelerationError, ModelError

    Examples
    --------
    >>> from helicopter.core import AutonomousReconstructionEngine
    >>> from helicopter.io import sample_image
    >>> analysis = AutonomousReconstructionEngine().autonomous_analyze(sample_image())
    >>> analysis.understanding_level in ("excellent", "good", "moderate", "limited")
    True
    """

    def __init__(
        self,
        patch_size: int = 32,
        context_size: int | None = None,
        device: str = "auto",
        use_rust_acceleration: bool | None = None,
        algorithm: str = DEFAULT,
        strategy: str = "adaptive",
        seed: int = 0,
        weights: str | os.PathLike[str] | None = None,
        stop: str | StoppingPolicy = "quality",
        threshold: float = 0.8,
    ) -> None:
        self.patch_size = check_integer(patch_size, "patch_size", 1)
        self.context_size = (
            None
            if context_size is None
            else check_integer(context_size, "context_size", self.patch_size)
        )
        self.strategy = check_choice(strategy, "strategy", STRATEGIES)
        self.threshold = check_fraction(threshold, "threshold", ends=True)
        policy = stop if isinstance(stop, StoppingPolicy) else None
        self.stop = "hatata" if policy is not None else check_choice(stop, "stop", STOPS)
        super().__init__(algorithm, weights, seed, device, use_rust_acceleration)
        if policy is None and self.stop == "hatata":
            policy = StoppingPolicy(_backend=self.backend)
        self._policy = policy

    def autonomous_analyze(
        self,
        image: object,
        *,
        max_iterations: int | None = None,
        target_quality: float = 0.90,
        initial_known: float = 0.2,
        open_book: bool = False,
        mask: object = None,
        data_range: tuple[float, float] | None = None,
        progress: bool | ProgressCallback | None = None,
    ) -> AutonomousAnalysis:
        """Redraw an image from a share of its patches, step by step.

        Each iteration chooses a batch of hidden patches, predicts them, scores them, and adds them
        to what is known: the prediction when the book is closed, the truth when it is open. The
        run stops when the target is reached with 95 % confidence, every patch is done, nothing
        improves any more, or at `max_iterations`; what is hidden then is drawn at once. With
        ``stop="hatata"`` it stops instead of the first and third when the evidence is enough, be it
        within an iteration.

        Parameters
        ----------
        image : array_like of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)
            bool, integers of up to 32 bits or floats; floats in [0, 1] unless `data_range` says
            otherwise. Gaps (NaN, infinities, what a masked array masks, pixels whose alpha is 0)
            are hidden besides what `mask` hides. Alpha is carried through and never predicted.
        max_iterations : int, optional
        target_quality : float, default 0.90
            Quality, in [0, 1], at which to stop.
        initial_known : float, default 0.2
            Share of the patches that are shown at the start, in (0, 1).
        open_book : bool, default False
            Reveal the truth of a patch once it has been predicted and scored.
        mask : bool array_like of shape (H, W), optional
            True where the image itself is missing: predicted, but never scored.
        data_range : tuple of float, optional
            The values of black and white.
        progress : None, True or callable
            See `helicopter._shared.progress.as_callback`.

        Returns
        -------
        AutonomousAnalysis

        Raises
        ------
        InvalidImageError, InvalidMaskError, InvalidOptionError
        """
        started = time.perf_counter()
        options = AutonomousOptions(
            patch_size=self.patch_size,
            context_size=self.context_size,
            strategy=self._order,
            seed=self.seed,
            max_iterations=(
                None
                if max_iterations is None
                else check_integer(max_iterations, "max_iterations", 1)
            ),
            target_quality=check_fraction(target_quality, "target_quality", ends=True),
            initial_known=check_fraction(initial_known, "initial_known", ends=False),
            open_book=_check_flag(open_book, "open_book"),
            stop=self._evidence_stop(),
        )
        with as_callback(progress, "Analysing") as callback:
            prepared, missing = prepare_image(image, hidden=mask, data_range=data_range)
            require_visible(missing)
            self._require_two_patches(missing)
            run = self._backend.autonomous(
                prepared.pixels,
                missing,
                self._for_one_run(options),
                options,
                self._model,
                callback,
            )
        return self._result(prepared, run, options, started)

    @property
    def _order(self) -> str:
        """Evidence must be a fair sample."""
        fair = self._policy is not None and self.strategy == "adaptive"
        return "random" if fair else self.strategy

    def _evidence_stop(self) -> EvidenceStop | None:
        policy = self._policy
        if policy is None:
            return None
        time_of_looks = 1.0 if self._order == "random" else None
        return EvidenceStop(self.threshold, policy._run, policy._most_looks, time_of_looks)

    def _verification(self, run: AutonomousRun, started: float) -> Verification | None:
        """What the scored patches say; the loop stopped by the same rule."""
        policy, stop = self._policy, self._evidence_stop()
        if policy is None or stop is None:
            return None
        evidence = Evidence(
            policy.required_share, policy.prior, CREDIBLE_LEVEL, stop.most_looks, stop.time
        )
        qualities = run.patch_qualities[~np.isnan(run.patch_qualities)]
        found = self._backend.verify(qualities >= stop.threshold, evidence, policy._run)
        ran_on = (self.backend, self.device)
        seconds = time.perf_counter() - started
        return read_run(found, qualities, stop.threshold, evidence, policy, ran_on, seconds)

    def _for_one_run(self, options: AutonomousOptions) -> Algorithm:
        """The algorithm; `exemplar` is asked once where its answer would not change."""
        once = self.algorithm == "exemplar" and not options.open_book
        if once and options.context_size is None and callable(self._algorithm):
            return _asked_once(self._algorithm)
        return self._algorithm

    def _require_two_patches(self, missing: Mask) -> None:
        height, width = missing.shape
        known = PatchGrid(height, width, self.patch_size).sums(~missing)
        if np.count_nonzero(known) < 2:
            raise InvalidOptionError(
                f"patch_size: got {self.patch_size}, which leaves a single patch with known "
                f"pixels in an image of {height} x {width}; expected a patch_size that gives "
                "at least two, so that one can be predicted from another."
            )

    def _result(
        self,
        prepared: PreparedImage,
        run: AutonomousRun,
        options: AutonomousOptions,
        started: float,
    ) -> AutonomousAnalysis:
        quality = quality_of(run.scores.mse)
        return AutonomousAnalysis(
            reconstruction_quality=quality,
            understanding_level=understanding_level(quality),
            ssim=run.scores.ssim,
            psnr_db=psnr_db(run.scores.mse),
            mae=run.scores.mae * prepared.units,
            skill=skill_of(run.scores),
            average_confidence=run.average_confidence,
            completion=run.completion,
            iterations=len(run.history),
            converged=quality >= options.target_quality,
            stop_reason=run.stop_reason,
            reconstruction=prepared.restore(run.reconstruction, run.drawn),
            confidence_map=run.confidence,
            uncertainty_map=prepared.in_units(np.sqrt(run.variance)),
            error_map=_error_map(prepared, run),
            hidden_mask=run.hidden,
            patch_size=self.patch_size,
            history=tuple(
                IterationRecord(number, *step) for number, step in enumerate(run.history, start=1)
            ),
            algorithm=self.algorithm,
            strategy=self.strategy,
            backend=self.backend,
            device=self.device,
            seconds=time.perf_counter() - started,
            patch_qualities=run.patch_qualities,
            verification=self._verification(run, started),
        )


def _asked_once(kernel: Kernel) -> Kernel:
    """Remember the first answer, which covers everything that will ever be hidden."""
    answers: list[tuple[Image, Map | None]] = []

    def run(context: Image, mask: Mask) -> tuple[Image, Map | None]:
        if not answers:
            answers.append(kernel(context, mask))
        return answers[0]

    return run


def _error_map(prepared: PreparedImage, run: AutonomousRun) -> Map:
    error = error_map(prepared.pixels, run.prediction, prepared.units)
    error[~run.hidden] = 0
    error[run.hidden & ~run.scored] = np.nan
    return error


def _check_flag(value: object, name: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidOptionError(f"{name}: got {shown(value)}; expected True or False.")
    return bool(value)
