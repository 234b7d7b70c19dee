"""What the figures of an analysis mean, in plain sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter.plotting import unit_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from helicopter.core.results._autonomous import AutonomousAnalysis

__all__ = [
    "Figure",
    "captions",
    "caution",
    "headline_figures",
    "other_figures",
    "shown_share",
    "still_hidden",
    "stop_sentence",
    "verdict",
]

_LEVEL_SENTENCE = {
    "excellent": "Almost all of this image follows from a small part of it",
    "good": "Most of this image follows from a small part of it",
    "moderate": "The broad forms of this image follow from a small part of it, its detail does not",
    "limited": "Little of this image follows from the part that was shown",
}
_OPEN_SENTENCE = {
    "excellent": "What was left of this image follows almost wholly from what had been revealed",
    "good": "Most of what was left of this image follows from what had been revealed",
    "moderate": "The broad forms of what was left of this image follow from what had been "
    "revealed, its detail does not",
    "limited": "Little of what was left of this image follows from what had been revealed",
}
_ALL_OPEN_SENTENCE = {
    "excellent": "Almost all of each patch follows from the patches revealed before it",
    "good": "Most of each patch follows from the patches revealed before it",
    "moderate": "The broad forms of each patch follow from the patches revealed before it, its "
    "detail does not",
    "limited": "Little of each patch follows from the patches revealed before it",
}
_LOW_SKILL = 0.2
_STOP = {
    "target_quality": "the target quality was reached",
    "all_patches_done": "every hidden patch had been predicted",
    "no_improvement": "nothing improved any more",
    "evidence_sufficient": "the patches seen were evidence enough",
    "max_iterations": "the limit on iterations was reached",
}


_UNSET = {"context_size": "everything visible", "max_iterations": "none"}


@dataclass(frozen=True)
class Figure:
    """A number with its name and what to think of it."""

    name: str
    value: str
    meaning: str


def still_hidden(
    analysis: AutonomousAnalysis, options: Mapping[str, Any] | None = None
) -> NDArray[np.bool_]:
    """Return what had not been shown when the analysis ended.

    With ``open_book`` among the options that leaves out the patches that were revealed once they
    had been predicted; pixels whose truth is missing are never shown.
    """
    hidden = analysis.hidden_mask
    if not _is_open(options):
        return hidden
    hidden = hidden.copy()
    for record in analysis.history:
        for patch in record.patches:
            block = _block(analysis, patch)
            hidden[block] &= np.isnan(analysis.error_map[block])
    return hidden


def shown_share(
    analysis: AutonomousAnalysis, options: Mapping[str, Any] | None = None, *, at_end: bool = False
) -> float:
    """Return the share of the pixels that was shown when the analysis began, or ended."""
    hidden = still_hidden(analysis, options) if at_end else analysis.hidden_mask
    return 1.0 - float(hidden.mean())


def verdict(analysis: AutonomousAnalysis, options: Mapping[str, Any] | None = None) -> str:
    """Say in one sentence what was found."""
    start = _percent(shown_share(analysis))
    if _is_open(options):
        end = _percent(shown_share(analysis, options, at_end=True))
        how = f"redrawn after {end} had been shown ({start} at the start)"
    else:
        how = f"redrawn from {start} of its pixels"
    quality, level = analysis.reconstruction_quality, analysis.understanding_level
    if not np.isfinite(quality):
        return f"Nothing of what was hidden could be scored: {how}, but the truth is missing."
    scored = f"quality {quality:.3f} ({level}) {_over(analysis, options)}"
    if not np.isfinite(analysis.skill):
        return (
            "There was nothing to predict in this image, since what was hidden has the mean colour "
            f"of what was shown: {how} with {scored}, which says nothing; skill is undefined."
        )
    if analysis.skill < _LOW_SKILL:
        beyond = "Nothing" if analysis.skill <= 0.0 else "Hardly anything"
        sentence = f"{beyond} of this image was predicted beyond its mean colour"
    elif _is_open(options):
        sentence = (_OPEN_SENTENCE if _any_left(analysis, options) else _ALL_OPEN_SENTENCE)[level]
    else:
        sentence = _LEVEL_SENTENCE[level]
    return f"{sentence}: {how} with {scored} and skill {_signed(analysis.skill)}."


def captions(
    analysis: AutonomousAnalysis, options: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Return what stands below the pictures, and before the maps."""
    missing = bool(np.isnan(analysis.error_map[analysis.hidden_mask]).any())
    start = _percent(shown_share(analysis))
    blank = "Blank patches were shown, so there was nothing to predict."
    redrawn = "What was shown is untouched, the rest is predicted."
    if _is_open(options):
        end = _percent(shown_share(analysis, options, at_end=True))
        shown = (
            f"{end} of the pixels by the end, {start} at the start; each patch was revealed after "
            "its prediction, the chequered ones stayed hidden."
        )
        redrawn = "What was shown or revealed is the original itself, the rest is predicted."
        blank = (
            "Blank patches were shown at the start, so there was nothing to predict; those "
            "revealed later appear as they were predicted before that."
        )
    else:
        shown = f"{start} of the pixels; the chequered patches were hidden."
    if missing:
        shown += " Pixels missing under the mask are chequered too."
        blank += (
            " Pixels missing under the mask were neither shown nor scored: predicted, so they have "
            "an uncertainty, but blank in the map of the error."
        )
    return {"shown": shown, "redrawn": redrawn, "blank": blank}


def caution(analysis: AutonomousAnalysis) -> str | None:
    """Say what would mislead a reader of the quality alone, if anything does."""
    if not np.isfinite(analysis.skill):
        return (
            "Skill is undefined here: what was hidden has a single colour, that of what was shown, "
            "so there was nothing to predict and the quality says nothing."
        )
    if analysis.skill < 0.0:
        return (
            "Skill is below zero: filling the hidden parts with the mean colour would have been "
            "closer. Whatever the quality says, nothing was understood."
        )
    if analysis.skill < _LOW_SKILL and analysis.reconstruction_quality >= 0.6:
        return (
            "Skill is low: the quality is hardly better than what the mean colour alone would "
            "score. A smooth image gets a high quality for nothing."
        )
    return None


def stop_sentence(analysis: AutonomousAnalysis) -> str:
    """Say why the loop ended."""
    reason = analysis.stop_reason
    return _STOP.get(reason, reason.replace("_", " "))


def headline_figures(
    analysis: AutonomousAnalysis, options: Mapping[str, Any] | None = None
) -> tuple[Figure, ...]:
    """Return the four figures to look at first."""
    over = _over(analysis, options)
    return (
        Figure(
            "Quality",
            _number(analysis.reconstruction_quality, ".3f"),
            f"{analysis.understanding_level}; 1 / (1 + 10 MSE) {over}",
        ),
        Figure(
            "Skill",
            _signed(analysis.skill),
            "1 is perfect, 0 no better than painting the mean colour"
            + (f"; {over}" if _is_open(options) else ""),
        ),
        Figure(
            "Mean error",
            _number(analysis.mae, ",.0f" if analysis.mae >= 100 else ".3g"),
            f"{unit_of(analysis.reconstruction)}, mean absolute, {over}",
        ),
        Figure(
            "Confidence",
            _percent(analysis.average_confidence),
            _deserved(analysis, (options or {}).get("data_range")),
        ),
    )


def other_figures(
    analysis: AutonomousAnalysis, seconds: float, options: Mapping[str, Any]
) -> tuple[Figure, ...]:
    """Return everything else, in the order of the page."""
    image = analysis.reconstruction
    height, width = image.shape[:2]
    over = _over(analysis, options)
    end = shown_share(analysis, options, at_end=True)
    channels = "grey" if image.ndim == 2 else {1: "grey", 3: "RGB", 4: "RGBA"}[image.shape[2]]
    figures = [
        Figure(
            "PSNR",
            _number(analysis.psnr_db, ".2f", " dB"),
            f"Peak signal-to-noise ratio, {over}.",
        ),
        Figure(
            "SSIM",
            _number(analysis.ssim, ".3f"),
            f"Structural similarity, {over}; 1 is equal.",
        ),
        Figure(
            "Completion",
            _percent(analysis.completion),
            "Share of the hidden patches that were predicted step by step"
            + (" and then revealed" if _is_open(options) else "")
            + "; those left when it stopped were redrawn at once.",
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
            f"{_percent(shown_share(analysis))} of the pixels were shown at the start"
            + (f", {_percent(end)} by the end." if _is_open(options) else "."),
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
        Figure(name.replace("_", " ").capitalize(), _option(name, value), "As set for this run.")
        for name, value in options.items()
        if (value is not None or name in _UNSET)
        and name not in ("patch_size", "algorithm", "strategy")
    ]
    return tuple(figures)


def right_share(
    analysis: AutonomousAnalysis, data_range: tuple[float, float] | None = None
) -> float | None:
    """Return the share of the scored patches whose mean error was at most 0.05 of the range.

    ``None`` where the range is not known (floats outside [0, 1]) or nothing was scored.
    """
    image = analysis.reconstruction
    if data_range is not None:
        span = float(data_range[1]) - float(data_range[0])
    elif image.dtype.name in ("uint8", "uint16"):
        span = float(np.iinfo(image.dtype).max)
    elif image.dtype == bool or (float(image.min()) >= 0 and float(image.max()) <= 1):
        span = 1.0
    else:
        return None
    hits = []
    for record in analysis.history:
        for patch in record.patches:
            block = _block(analysis, patch)
            errors = analysis.error_map[block][analysis.hidden_mask[block]]
            errors = errors[np.isfinite(errors)]
            if errors.size:
                hits.append(float(errors.mean()) <= 0.05 * span)
    return float(np.mean(hits)) if hits else None


def _is_open(options: Mapping[str, Any] | None) -> bool:
    return bool((options or {}).get("open_book"))


def _any_left(analysis: AutonomousAnalysis, options: Mapping[str, Any] | None) -> bool:
    """Return whether the figures cover what was left, as they do where there is a truth for it."""
    left = still_hidden(analysis, options)
    return bool((left & ~np.isnan(analysis.error_map)).any())


def _over(analysis: AutonomousAnalysis, options: Mapping[str, Any] | None) -> str:
    """Say which pixels the figures cover."""
    if not _is_open(options):
        return "over what was hidden"
    if _any_left(analysis, options):
        return "over what was still hidden at the end"
    return "over the predictions made before each patch was revealed"


def _block(analysis: AutonomousAnalysis, patch: int) -> tuple[slice, slice]:
    size = analysis.patch_size
    row, column = divmod(patch, -(-analysis.hidden_mask.shape[1] // size))
    return np.s_[row * size : (row + 1) * size, column * size : (column + 1) * size]


def _option(name: str, value: Any) -> str:
    if value is None:
        return _UNSET[name]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "data_range":
        return f"{value[0]:g} to {value[1]:g}"
    return str(value)


def _deserved(analysis: AutonomousAnalysis, data_range: tuple[float, float] | None) -> str:
    share = right_share(analysis, data_range)
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
