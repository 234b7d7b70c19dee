"""Whole figures: one for each kind of result, and those that the report is made of."""

from __future__ import annotations

import math
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from helicopter._shared.result import Result
from helicopter.core.results._analysis import Analysis
from helicopter.core.results._autonomous import AutonomousAnalysis, IterationRecord
from helicopter.core.results._regional import (
    CrossReconstruction,
    PatchScore,
    RegionalReconstruction,
    UnderstandingScore,
    UnderstandingTest,
)
from helicopter.errors import InvalidOptionError

from ._curves import draw_quality_curve, draw_understanding
from ._panels import (
    LONGEST,
    blank_hidden,
    displayable,
    draw_image,
    draw_map,
    shrink,
    shrink_mask,
    unit_of,
)
from ._style import LIGHT, Style, dress, new_figure, nice_top

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = [
    "bars_figure",
    "common_top",
    "map_figure",
    "plot_result",
    "quality_figure",
    "result_overview",
]


def plot_result(result: Result, *, style: Style = LIGHT) -> Figure:
    """Draw any result of an engine.

    Parameters
    ----------
    result : Result
        What an engine returned.
    style : Style
        `LIGHT` or `DARK`.

    Returns
    -------
    matplotlib.figure.Figure
        With a canvas of its own; ``figure.savefig(...)`` works without pyplot.
    """
    if not isinstance(result, Result):
        raise InvalidOptionError(
            f"result must be a result of an engine, got {type(result).__name__}"
        )
    return result_overview(result, style)


@singledispatch
def result_overview(result: Result, style: Style) -> Figure:
    """Draw a result of no particular kind: its plain numbers, as bars."""
    numbers = {
        name: float(value)
        for name, value in result.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    return bars_figure(numbers, type(result).__name__, style)


@result_overview.register
def _(result: Analysis, style: Style) -> Figure:
    return result_overview(result.autonomous, style)


@result_overview.register
def _(result: AutonomousAnalysis, style: Style) -> Figure:
    picture = shrink(displayable(result.reconstruction), LONGEST)
    blanked = blank_hidden(picture, shrink_mask(result.hidden_mask, LONGEST))
    unit = unit_of(result.reconstruction)
    height, width = result.hidden_mask.shape
    aspect = float(np.clip(height / width, 0.4, 1.8))
    figure = new_figure(11, 2 * 4.6 * aspect + 3.9, style)
    panels = figure.subplot_mosaic(
        [["shown", "redrawn"], ["uncertainty", "error"], ["curve", "curve"]],
        height_ratios=[4.6 * aspect, 4.6 * aspect, 2.9],
    )
    figure.suptitle(
        f"quality {result.reconstruction_quality:.3f} ({result.understanding_level}), "
        f"skill {result.skill:.2f}, PSNR {result.psnr_db:.1f} dB, SSIM {result.ssim:.2f}",
        color=style.ink,
        fontsize=13,
    )
    top = common_top(result)
    draw_image(panels["shown"], blanked, "What was shown", style)
    draw_image(panels["redrawn"], picture, "Redrawn from it", style)
    draw_map(
        panels["uncertainty"],
        result.uncertainty_map,
        "Uncertainty (predicted standard deviation)",
        unit,
        style,
        where=result.hidden_mask,
        top=top,
    )
    draw_map(
        panels["error"],
        result.error_map,
        "Error (what the truth showed)",
        unit,
        style,
        where=result.hidden_mask,
        top=top,
    )
    draw_quality_curve(panels["curve"], result.history, style)
    return figure


@result_overview.register
def _(result: RegionalReconstruction, style: Style) -> Figure:
    hidden = result.uncertainty_map > 0
    height, width = hidden.shape
    aspect = float(np.clip(height / width, 0.4, 1.8))
    figure = new_figure(14, 4.6 * aspect + 0.9, style)
    redrawn, uncertainty, confidence = figure.subplots(1, 3)
    figure.suptitle(f"Redrawn by {result.algorithm}", color=style.ink, fontsize=13)
    draw_image(redrawn, result.reconstruction, "Reconstruction", style)
    unit = unit_of(result.reconstruction)
    draw_map(
        uncertainty,
        result.uncertainty_map,
        "Uncertainty (predicted standard deviation)",
        unit,
        style,
        where=hidden,
    )
    draw_map(
        confidence,
        result.confidence_map,
        "Confidence (error at most 5 % of the range)",
        "probability",
        style,
        where=hidden,
        top=1.0,
    )
    return figure


@result_overview.register
def _(result: CrossReconstruction, style: Style) -> Figure:
    height, width = result.uncertainty_map.shape
    aspect = float(np.clip(height / width, 0.4, 1.8))
    figure = new_figure(11, 2 * 4.6 * aspect + 1.3, style)
    redrawn, uncertainty, error, surprise = figure.subplots(2, 2).flat
    figure.suptitle(
        f"each patch from the others: quality {result.reconstruction_quality:.3f} "
        f"({result.understanding_level}), skill {result.skill:.2f}, PSNR {result.psnr_db:.1f} dB, "
        f"{result.algorithm}",
        color=style.ink,
        fontsize=13,
    )
    unit = unit_of(result.reconstruction)
    both = (("Uncertainty", result.uncertainty_map), ("Error", result.error_map))
    top = nice_top(np.concatenate([_sampled(values) for _, values in both]))
    draw_image(redrawn, result.reconstruction, "Reconstruction, out of sample", style)
    for axes, (title, values) in zip((uncertainty, error), both, strict=True):
        draw_map(axes, values, title, unit, style, top=top)
    draw_map(
        surprise,
        np.abs(result.surprise_map),
        "Surprise (error in units of its uncertainty)",
        "standard deviations",
        style,
    )
    return figure


@result_overview.register
def _(result: PatchScore, style: Style) -> Figure:
    numbers = {
        "quality": result.quality,
        "confidence": result.confidence,
        "surprise": result.surprise,
    }
    top, left, bottom, right = result.box
    return bars_figure(
        numbers, f"Patch of rows {top} to {bottom}, columns {left} to {right}", style
    )


@result_overview.register
def _(result: UnderstandingTest, style: Style) -> Figure:
    rows = len({score.strategy for score in result.scores})
    figure = new_figure(12, 1.9 + 0.42 * rows, style)
    quality, skill = figure.subplots(1, 2, sharey=True)
    figure.suptitle(
        f"mean quality {result.reconstruction_quality:.3f} ({result.understanding_level}), "
        f"mean skill {result.skill:.2f}, {result.algorithm}",
        color=style.ink,
        fontsize=13,
    )
    draw_understanding(quality, result, "reconstruction_quality", "Quality", style)
    draw_understanding(skill, result, "skill", "Skill (0: no better than the mean colour)", style)
    return figure


@result_overview.register
def _(result: UnderstandingScore, style: Style) -> Figure:
    numbers = {
        "quality": result.reconstruction_quality,
        "SSIM": result.ssim,
        "skill": result.skill,
        "confidence": result.average_confidence,
    }
    return bars_figure(
        numbers,
        f"{result.strategy.replace('_', ' ')}, {100 * result.hidden_fraction:.0f} % hidden",
        style,
    )


@result_overview.register
def _(result: IterationRecord, style: Style) -> Figure:
    numbers = {
        "quality of the step": result.quality,
        "quality so far": result.cumulative_quality,
        "confidence": result.confidence,
    }
    return bars_figure(
        numbers, f"Iteration {result.iteration}, {len(result.patches)} patches", style
    )


def quality_figure(
    result: AutonomousAnalysis, style: Style = LIGHT, *, target: float | None = None
) -> Figure:
    """Draw the quality curve by itself."""
    figure = new_figure(9, 3.4, style)
    draw_quality_curve(figure.subplots(), result.history, style, target=target)
    return figure


def map_figure(
    values: NDArray[np.float32],
    title: str,
    unit: str,
    style: Style = LIGHT,
    *,
    where: NDArray[np.bool_] | None = None,
    top: float | None = None,
) -> Figure:
    """Draw one map by itself; see `draw_map`."""
    height, width = values.shape
    figure = new_figure(9, 7.6 * float(np.clip(height / width, 0.3, 2.0)) + 0.6, style)
    draw_map(figure.subplots(), values, title, unit, style, where=where, top=top)
    return figure


def common_top(result: AutonomousAnalysis) -> float:
    """Return one end for the colour scales of uncertainty and error, so that they compare."""
    hidden = _sampled(result.hidden_mask)
    both = [_sampled(values)[hidden] for values in (result.uncertainty_map, result.error_map)]
    return nice_top(np.concatenate(both))


def _sampled(values: NDArray[Any]) -> NDArray[Any]:
    # a million pixels tell a percentile as well as a hundred million
    step = max(1, math.isqrt(values.size // 1_000_000))
    return values[::step, ::step]


def bars_figure(numbers: Mapping[str, float], title: str, style: Style) -> Figure:
    """Draw a few numbers as bars."""
    figure = new_figure(7, 0.9 + 0.45 * max(1, len(numbers)), style)
    axes = figure.subplots()
    dress(axes, style)
    bars = axes.barh(list(numbers), list(numbers.values()), color=style.series[0], height=0.6)
    axes.bar_label(bars, fmt="%.3g", padding=4, color=style.ink, fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_title(title, fontsize=11, loc="left", color=style.ink)
    return figure
