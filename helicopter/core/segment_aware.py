"""Segment-aware reconstruction: each segment from itself, with an effort that suits its kind."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from helicopter._shared.checks import (
    LARGEST,
    check_choice,
    check_fraction,
    check_integer,
    is_integer,
)
from helicopter._shared.progress import ProgressCallback, as_callback
from helicopter.backends.protocol import AutonomousOptions, Scores, SegmentTask

from .autonomous_engine import STRATEGIES
from .prediction._engine import PredictingEngine
from .prediction._scores import error_map, psnr_db, quality_of, skill_of
from .registry import DEFAULT
from .results._autonomous import understanding_level
from .results._parts import SegmentAwareReconstruction, SegmentReconstruction
from .segments._hiding import chosen_to_hide
from .segments._partition import segment_values
from .segments._types import EFFORTS, Effort, border_pixels, extents, types_of
from .validation import check_segments, prepare_image, prepare_values, require_visible

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from helicopter._shared.arrays import Labels, Mask
    from helicopter.backends.protocol import SegmentAwareRun, SegmentOutcome

    from .results._autonomous import UnderstandingLevel
    from .results._parts import SegmentType
    from .validation import PreparedImage

__all__ = ["SegmentAwareReconstructionEngine"]


class SegmentAwareReconstructionEngine(PredictingEngine):
    """Redraws every segment from a part of its own pixels, and says how well each went.

    A segment is reconstructed in isolation: whatever the rest of the image holds, its prediction,
    its uncertainty and its scores stay the same to the last bit.

    Parameters
    ----------
    patch_size : int, default 8
        Side of the square patches, in pixels, counted from the corner of a given segment's bounding
        box and its halo, and of the image where segments are found.
    device : str, default "auto"
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    use_rust_acceleration : bool, optional
        True: Rust or an error; False: Python; None: Rust if it can be used.
    algorithm : str, default "network"
        See `RegionalReconstructionEngine`. It is asked once for each segment, one after the other
        where it is a kernel of your own, in the order of the labels.
    strategy : str, default "adaptive"
        In which order patches are scored; see `AutonomousReconstructionEngine`.
    seed : int, default 0
        Of the choice of the patches that are shown.
    weights : path-like, optional
        A network of your own, written by ``helicopter train``; by default that of the package.
    halo : int, default 0
        A segment also sees what lies at most so many rows and columns away from one of its pixels,
        in other segments: shown, never scored. Nothing further away matters. 0: isolation.

    Raises
    ------
    InvalidOptionError, DeviceError, RustAccelerationError, ModelError

    Examples
    --------
    >>> from helicopter.core import SegmentAwareReconstructionEngine
    >>> from helicopter.io import sample_image
    >>> engine = SegmentAwareReconstructionEngine()
    >>> result = engine.segment_aware_reconstruction(sample_image(), segments=20)
    >>> len(result.segments)
    20
    """

    def __init__(
        self,
        patch_size: int = 8,
        device: str = "auto",
        use_rust_acceleration: bool | None = None,
        algorithm: str = DEFAULT,
        strategy: str = "adaptive",
        seed: int = 0,
        weights: str | os.PathLike[str] | None = None,
        halo: int = 0,
    ) -> None:
        self.patch_size = check_integer(patch_size, "patch_size", 1)
        self.strategy = check_choice(strategy, "strategy", STRATEGIES)
        self.halo = check_integer(halo, "halo", 0)
        super().__init__(algorithm, weights, seed, device, use_rust_acceleration)

    def segment_aware_reconstruction(
        self,
        image: object,
        *,
        segments: object = 250,
        mask: object = None,
        initial_known: float = 0.2,
        max_iterations: int | None = None,
        target_quality: float | None = None,
        data_range: tuple[float, float] | None = None,
        progress: bool | ProgressCallback | None = None,
    ) -> SegmentAwareReconstruction:
        """Hide most of every segment and redraw each from what is left of it.

        The book is closed: each segment is predicted once, and its patches are scored in steps
        until its type's target is reached with 95 % confidence, nothing improves any more, or its
        type's iterations are used up: see `helicopter.core.segments._types.EFFORTS`.

        Parameters
        ----------
        image : array_like of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)
            bool, integers of up to 32 bits or floats; floats in [0, 1] unless `data_range` says
            otherwise. Gaps (NaN, infinities, what a masked array masks, pixels whose alpha is 0)
            are hidden besides what `mask` hides. Alpha is carried through and never predicted.
        segments : int, pair of int, or integer array_like of shape (H, W), default 250
            How many `helicopter.segment` is to find; the rows and columns of a grid; or a label for
            every pixel: any integers, in any number of pieces. Segments that are found here are
            made of the patches that are shown alone, so that they tell nothing of what is
            hidden. Work and memory follow the bounding boxes: pieces far apart are better labelled
            apart.
        mask : bool array_like of shape (H, W), optional
            True where the image itself is missing: predicted, but never scored.
        initial_known : float, default 0.2
            Share of each segment's patches that are shown, in (0, 1). A segment that is found here
            and lies on more that were already looked at keeps them all.
        max_iterations : int, optional
            At most so many, also where a type allows more.
        target_quality : float, optional
            In [0, 1]; for all segments, whatever their types ask for.
        data_range : tuple of float, optional
            The values of black and white.
        progress : None, True or callable
            See `helicopter._shared.progress.as_callback`; counts pixels.

        Returns
        -------
        SegmentAwareReconstruction

        Raises
        ------
        InvalidImageError, InvalidMaskError, InvalidOptionError
        """
        started = time.perf_counter()
        known = check_fraction(initial_known, "initial_known", ends=False)
        most = (
            None if max_iterations is None else check_integer(max_iterations, "max_iterations", 1)
        )
        target = (
            None
            if target_quality is None
            else check_fraction(target_quality, "target_quality", ends=True)
        )
        options = AutonomousOptions(
            patch_size=self.patch_size,
            context_size=None,
            strategy=self.strategy,
            seed=self.seed,
            max_iterations=None,
            target_quality=1.0,
            initial_known=known,
            open_book=False,
            ask_once=True,
        )
        with as_callback(progress, "Reconstructing") as callback:
            prepared, missing = prepare_image(image, hidden=mask, data_range=data_range)
            require_visible(missing)
            hide = partial(
                chosen_to_hide,
                missing=missing,
                patch_size=self.patch_size,
                seed=self.seed,
                initial_known=known,
            )
            if is_integer(segments):
                count = check_integer(segments, "segments", 1, min(missing.size, LARGEST))
                values = list(range(count))
                # labels that were made of what is hidden would tell of it
                whole = np.array([[0, 0, *missing.shape]])
                hidden = hide(np.zeros(missing.shape, dtype=np.int32), whole) | missing
                labels = self._found(image, mask, data_range, hidden, count)
            else:
                values, labels = check_segments(segments, missing.shape)
                hidden = None
            boxes, areas = extents(labels, len(values))
            # no halo reaches further than the image does
            halo = min(self.halo, max(missing.shape))
            windows = self._windows(boxes, halo, missing.shape, aligned=hidden is not None)
            chosen = hide(labels, windows, looked_at=None if hidden is None else ~hidden)
            visible = ~(missing | chosen)
            border = border_pixels(labels, len(values))
            types = types_of(prepared.pixels, visible, labels, areas, border)
            efforts = [_effort(EFFORTS[name], most, target) for name in types]
            tasks = [
                SegmentTask(_box(window), *effort)
                for window, effort in zip(windows.tolist(), efforts, strict=True)
            ]
            run = self._backend.segment_aware(
                prepared.pixels,
                missing,
                chosen,
                labels,
                tasks,
                halo,
                self._algorithm,
                options,
                self._model,
                callback,
            )
        records = _records(values, boxes, areas, types, tasks, run.outcomes, prepared.units)
        return self._result(prepared, missing, labels, records, run, started)

    def _windows(
        self, boxes: NDArray[np.int64], halo: int, shape: tuple[int, ...], *, aligned: bool
    ) -> NDArray[np.int64]:
        """What may be seen of each segment and its halo, from the corner of a patch on."""
        start = np.maximum(boxes[:, :2] - halo, 0)
        if aligned:
            start -= start % self.patch_size
        end = np.minimum(boxes[:, 2:] + halo, shape)
        return np.concatenate([start, end], axis=1)

    def _found(
        self,
        image: object,
        mask: object,
        data_range: tuple[float, float] | None,
        hidden: Mask,
        count: int,
    ) -> Labels:
        """Divide the image into so many segments, by what is not hidden."""
        given, _ = prepare_values(image, hidden=mask, data_range=data_range)
        return segment_values(self._backend, given, hidden, count)

    def _result(
        self,
        prepared: PreparedImage,
        missing: Mask,
        labels: Labels,
        segments: tuple[SegmentReconstruction, ...],
        run: SegmentAwareRun,
        started: float,
    ) -> SegmentAwareReconstruction:
        scored = run.hidden & ~missing
        truth = prepared.pixels
        if missing.any():
            # a missing truth counts as what was predicted, so that it cannot speak in SSIM
            truth = np.where(missing[:, :, None], run.prediction, truth)
        scores = self._backend.score(truth, run.prediction, run.hidden, scored)
        quality = quality_of(scores.mse)
        error = error_map(prepared.pixels, run.prediction, prepared.units)
        error[~run.hidden] = 0
        error[missing] = np.nan
        return SegmentAwareReconstruction(
            reconstruction_quality=quality,
            understanding_level=_level(quality),
            ssim=scores.ssim,
            psnr_db=psnr_db(scores.mse),
            mae=scores.mae * prepared.units,
            skill=skill_of(scores),
            average_confidence=_mean([(one.confidence, one.scored_pixels) for one in segments]),
            understood_share=_mean([(one.converged, one.scored_pixels) for one in segments]),
            segments=segments,
            labels=labels,
            reconstruction=prepared.restore(run.prediction, run.hidden),
            confidence_map=run.confidence,
            uncertainty_map=prepared.in_units(np.sqrt(run.variance)),
            error_map=error,
            hidden_mask=run.hidden,
            patch_size=self.patch_size,
            halo=self.halo,
            algorithm=self.algorithm,
            strategy=self.strategy,
            backend=self.backend,
            device=self.device,
            seconds=time.perf_counter() - started,
        )


def _box(box: list[int]) -> tuple[int, int, int, int]:
    top, left, bottom, right = box
    return top, left, bottom, right


def _effort(effort: Effort, most: int | None, target: float | None) -> Effort:
    """What a type allows, unless something else was asked for."""
    iterations = effort.max_iterations
    return Effort(
        iterations if most is None else min(iterations, most),
        effort.target_quality if target is None else target,
        effort.plateau,
    )


def _records(
    values: list[int],
    boxes: NDArray[np.int64],
    areas: NDArray[np.int64],
    types: list[SegmentType],
    tasks: list[SegmentTask],
    outcomes: list[SegmentOutcome],
    units: float,
) -> tuple[SegmentReconstruction, ...]:
    unexplained = [one.mse * one.scored if one.scored else 0.0 for one in outcomes]
    everything = math.fsum(unexplained)
    return tuple(
        SegmentReconstruction(
            label=value,
            type=name,
            bounding_box=_box(box),
            area=area,
            quality=quality_of(one.mse),
            understanding_level=_level(quality_of(one.mse)),
            skill=_skill(one),
            mae=one.mae * units,
            confidence=one.confidence,
            iterations=one.iterations,
            converged=quality_of(one.mse) >= task.target_quality,
            stop_reason=one.stop_reason,
            priority=share / everything if everything > 0 else 0.0,
            evidence=one.evidence,
            scored_pixels=one.scored,
            target_quality=task.target_quality,
        )
        for value, box, area, name, task, one, share in zip(
            values,
            boxes.tolist(),
            areas.tolist(),
            types,
            tasks,
            outcomes,
            unexplained,
            strict=True,
        )
    )


def _skill(one: SegmentOutcome) -> float:
    return skill_of(Scores(one.mse, one.mae, math.nan, one.baseline_mse))


def _level(quality: float) -> UnderstandingLevel | None:
    return None if math.isnan(quality) else understanding_level(quality)


def _mean(weighted: list[tuple[float, int]]) -> float:
    total = sum(weight for _, weight in weighted)
    if total == 0:
        return math.nan
    return math.fsum(value * weight for value, weight in weighted if weight) / total
