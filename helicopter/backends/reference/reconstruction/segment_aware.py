"""Segment by segment: the autonomous loop over each, which sees nothing of the others."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from helicopter.backends.protocol import SegmentAwareRun, SegmentOutcome

from .autonomous_engine import Loop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from helicopter._shared.arrays import Image, Labels, Mask, Progress
    from helicopter.backends.protocol import Algorithm, AutonomousOptions, SegmentTask
    from helicopter.models import UncertaintyModel

    from .autonomous_engine import Course

__all__ = ["run"]


def run(
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
    """Reconstruct all segments; see `helicopter.backends.protocol.Backend.segment_aware`."""
    hidden = missing.copy()
    prediction = np.where(missing[:, :, None], np.float32(0), image)
    variance = np.zeros(missing.shape, dtype=np.float32)
    confidence = np.ones(missing.shape, dtype=np.float32)
    outcomes = []
    done = 0
    for number, task in enumerate(tasks):
        top, left, bottom, right = task.window
        window = slice(top, bottom), slice(left, right)
        own = labels[window] == number
        seen = own if halo == 0 else _widened(own, halo)
        of_task = dataclasses.replace(
            options,
            max_iterations=task.max_iterations,
            target_quality=task.target_quality,
            plateau=task.plateau,
        )
        # pixels of others are missing: they are neither shown nor scored, and nobody asks for them
        others = missing[window] | ~seen
        loop = Loop(image[window], others, algorithm, of_task, model, own, chosen[window])
        course = loop.walk(None)
        drawn = loop.initially_hidden & own
        hidden[window] |= drawn
        prediction[window][drawn] = loop.prediction[drawn]
        variance[window][drawn] = loop.variance[drawn]
        confidence[window][drawn] = loop.confidence_map[drawn]
        outcomes.append(_outcome(loop, course))
        done += int(np.count_nonzero(own))
        if progress is not None:
            progress(done, missing.size)
    return SegmentAwareRun(prediction, variance, confidence, hidden, outcomes)


def _widened(own: Mask, halo: int) -> Mask:
    """Mark what is at most `halo` rows and columns away from a pixel that is marked."""
    wide = own
    for axis in (0, 1):
        length = own.shape[axis]
        before = np.insert(np.cumsum(wide, axis=axis), 0, 0, axis=axis)
        index = np.arange(length)
        upper = before.take(np.minimum(index + halo + 1, length), axis=axis)
        wide = upper > before.take(np.maximum(index - halo, 0), axis=axis)
    return wide


def _outcome(loop: Loop, course: Course) -> SegmentOutcome:
    scored = loop.initially_hidden & loop.known
    truth = loop.image[scored].astype(np.float64)
    error = loop.prediction[scored] - truth
    mse = mae = baseline = math.nan
    if error.size:
        mean = loop.image[loop.known & ~scored].mean(axis=0, dtype=np.float64)
        mse, mae = float(np.square(error).mean()), float(np.abs(error).mean())
        baseline = float(np.square(mean - truth).mean())
    return SegmentOutcome(
        iterations=len(course.history),
        stop_reason=course.stop_reason,
        completion=course.completion,
        confidence=course.average_confidence,
        mse=mse,
        mae=mae,
        baseline_mse=baseline,
        scored=len(error),
        evidence=len(loop.patch_errors),
    )
