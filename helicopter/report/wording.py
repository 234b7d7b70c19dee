"""What the figures of an analysis mean, in plain sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter.plotting import unit_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from helicopter.core.results import AutonomousAnalysis

__all__ = ["Figure", "caution", "headline_figures", "other_figures", "stop_sentence", "verdict"]

_LEVEL_SENTENCE = {
    "excellent": "Almost all of this image follows from a small part of it",
    "good": "Most of this image follows from a small part of it",
    "moderate": "The broad forms of this image follow from a small part of it, its detail does not",
    "limited": "Little of this image follows from the part that was shown",
}
_STOP = {
    "target_quality": "the target quality was reached",
    "all_patches_done": "every hidden patch had been predicted",
    "no_improvement": "nothing improved any more",
    "max_iterations": "the limit on iterations was reached",
}


@dataclass(frozen=True)
class Figure:
    """A number with its name and what to think of it."""

    name: str
    value: str
    meaning: str


def shown_share(analysis: AutonomousAnalysis) -> float:
    """Return the share of the pixels that was shown when the analysis began."""
    return 1.0 - float(analysis.hidden_mask.mean())


def verdict(analysis: AutonomousAnalysis) -> str:
    """Say in one sentence what was found."""
    return (
        f"{_LEVEL_SENTENCE[analysis.understanding_level]}: "
        f"redrawn from {_percent(shown_share(analysis))} of its pixels with quality "
        f"{analysis.reconstruction_quality:.3f} ({analysis.understanding_level}) "
        f"and skill {_signed(analysis.skill)}."
    )


def caution(analysis: AutonomousAnalysis) -> str | None:
    """Say what would mislead a reader of the quality alone, if anything does."""
    if not np.isfinite(analysis.skill):
        return (
            "Skill is undefined here: what was hidden has a single colour, so there was "
            "nothing to predict and the quality says nothing."
        )
    if analysis.skill < 0.0:
        return (
            "Skill is below zero: filling the hidden parts with the mean colour would have been "
            "closer. Whatever the quality says, nothing was understood."
        )
    if analysis.skill < 0.2 and analysis.reconstruction_quality >= 0.6:
        return (
            "Skill is low: the quality is hardly better than what the mean colour alone would "
            "score. A smooth image gets a high quality for nothing."
        )
    return None


def stop_sentence(analysis: AutonomousAnalysis) -> str:
    """Say why the loop ended."""
    reason = analysis.stop_reason
    return _STOP.get(reason, reason.replace("_", " "))


def headline_figures(analysis: AutonomousAnalysis) -> tuple[Figure, ...]:
    """Return the four figures to look at first."""
    return (
        Figure(
            "Quality",
            _number(analysis.reconstruction_quality, ".3f"),
            f"{analysis.understanding_level}; 1 / (1 + 10 MSE) over what was hidden",
        ),
        Figure(
            "Skill",
            _signed(analysis.skill),
            "1 is perfect, 0 no better than painting the mean colour",
        ),
        Figure(
            "Mean error",
            _number(analysis.mae, ",.0f" if analysis.mae >= 100 else ".3g"),
            f"{unit_of(analysis.reconstruction)}, mean absolute, over what was hidden",
        ),
        Figure(
            "Confidence",
            _percent(analysis.average_confidence),
            _deserved(analysis),
        ),
    )


def other_figures(
    analysis: AutonomousAnalysis, seconds: float, options: Mapping[str, Any]
) -> tuple[Figure, ...]:
    """Return everything else, in the order of the page."""
    image = analysis.reconstruction
    height, width = image.shape[:2]
    channels = "grey" if image.ndim == 2 else {1: "grey", 3: "RGB", 4: "RGBA"}[image.shape[2]]
    figures = [
        Figure(
            "PSNR",
            _number(analysis.psnr_db, ".2f", " dB"),
            "Peak signal-to-noise ratio, hidden pixels.",
        ),
        Figure(
            "SSIM",
            _number(analysis.ssim, ".3f"),
            "Structural similarity, hidden pixels; 1 is equal.",
        ),
        Figure(
            "Completion",
            _percent(analysis.completion),
            "Share of the hidden patches that were predicted step by step; those left when it "
            "stopped were redrawn at once.",
        ),
        Figure(
            "Iterations", str(analysis.iterations), f"It stopped because {stop_sentence(analysis)}."
        ),
        Figure(
            "Target reached",
            "yes" if analysis.converged else "no",
            "Whether the quality is at least the target.",
        ),
        Figure(
            "Image",
            f"{width} x {height}, {channels}, {image.dtype}",
            f"{_percent(shown_share(analysis))} of the pixels were shown at the start.",
        ),
        Figure(
            "Patch size",
            f"{analysis.patch_size} pixels",
            "Larger patches are harder: there is less nearby to go by.",
        ),
        Figure("Algorithm", analysis.algorithm, "What predicts a patch."),
        Figure("Strategy", analysis.strategy, "What chooses the next patches."),
        Figure("Backend", f"{analysis.backend} on {analysis.device}", "What did the computing."),
        Figure("Time", f"{seconds:.2f} s", "Wall clock, without reading and writing files."),
    ]
    figures += [
        Figure(name.replace("_", " ").capitalize(), str(value), "As set for this run.")
        for name, value in options.items()
        if value is not None and name not in ("patch_size", "algorithm", "strategy")
    ]
    return tuple(figures)


def right_share(analysis: AutonomousAnalysis) -> float | None:
    """Return the share of the scored patches whose mean error was at most 0.05 of the range.

    ``None`` where the range is not known (floats outside [0, 1]) or nothing was scored.
    """
    image = analysis.reconstruction
    if image.dtype.kind == "u":
        span = float(np.iinfo(image.dtype).max)
    elif image.dtype == bool or (float(image.min()) >= 0 and float(image.max()) <= 1):
        span = 1.0
    else:
        return None
    size = analysis.patch_size
    columns = -(-analysis.hidden_mask.shape[1] // size)
    hits = []
    for record in analysis.history:
        for patch in record.patches:
            row, column = divmod(patch, columns)
            block = np.s_[row * size : (row + 1) * size, column * size : (column + 1) * size]
            errors = analysis.error_map[block][analysis.hidden_mask[block]]
            errors = errors[np.isfinite(errors)]
            if errors.size:
                hits.append(float(errors.mean()) <= 0.05 * span)
    return float(np.mean(hits)) if hits else None


def _deserved(analysis: AutonomousAnalysis) -> str:
    share = right_share(analysis)
    promise = "stated chance that a patch is right within 5 % of the range"
    return promise if share is None else f"{promise}; {_percent(share)} of them were"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %" if np.isfinite(value) else "undefined"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(value) else "undefined"


def _number(value: float, form: str, unit: str = "") -> str:
    if np.isposinf(value):
        return "infinite"
    return f"{value:{form}}{unit}" if np.isfinite(value) else "undefined"
