"""Quality over iterations, and over masking strategies and difficulties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from ._style import Style, dress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from helicopter.core.results._autonomous import IterationRecord
    from helicopter.core.results._regional import UnderstandingTest

__all__ = ["draw_quality_curve", "draw_understanding"]


def draw_quality_curve(
    axes: Axes,
    history: Sequence[IterationRecord],
    style: Style,
    *,
    target: float | None = None,
) -> None:
    """Draw batch quality, cumulative quality and stated confidence over the iterations."""
    dress(axes, style)
    steps = [record.iteration for record in history]
    batch, all_so_far, confidence = style.series
    axes.plot(
        steps,
        [record.quality for record in history],
        color=batch,
        linewidth=1.1,
        alpha=0.75,
        label="quality of the step",
        marker="o" if len(steps) <= 60 else "",
        markersize=3,
    )
    axes.plot(
        steps,
        [record.cumulative_quality for record in history],
        color=all_so_far,
        linewidth=2.4,
        label="quality so far",
    )
    axes.plot(
        steps,
        [record.confidence for record in history],
        color=confidence,
        linewidth=1.6,
        linestyle=(0, (4, 2)),
        label="confidence stated beforehand",
    )
    if target is not None:
        axes.axhline(target, color=style.ink, linewidth=0.9, linestyle=":", label="target")
    axes.set_ylim(0, 1.02)
    axes.margins(x=0.02)
    if len(steps) == 1:
        axes.set_xlim(steps[0] - 0.5, steps[0] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("iteration", fontsize=10)
    axes.set_ylabel("0 to 1", fontsize=10)
    axes.grid(axis="y", color=style.faint, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, 1.16),
        ncols=4,
        frameon=False,
        fontsize=9,
        labelcolor=style.ink,
    )


def draw_understanding(
    axes: Axes, result: UnderstandingTest, measure: str, title: str, style: Style
) -> None:
    """Draw one measure as a coloured table: strategies down, difficulties across."""
    strategies = list(dict.fromkeys(score.strategy for score in result.scores))
    difficulties = sorted({score.difficulty for score in result.scores})
    grid = np.full((len(strategies), len(difficulties)), np.nan)
    for score in result.scores:
        row, column = strategies.index(score.strategy), difficulties.index(score.difficulty)
        grid[row, column] = score[measure]
    colours = style.map_colours()
    axes.imshow(grid, cmap=colours, vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(grid):
        if np.isfinite(value):
            dark = sum(colours(float(np.clip(value, 0, 1)))[:3]) < 1.5
            axes.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if dark else "black",
            )
    dress(axes, style)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(range(len(difficulties)), [f"{value:g}" for value in difficulties])
    axes.set_yticks(range(len(strategies)), [name.replace("_", " ") for name in strategies])
    axes.tick_params(length=0)
    axes.set_xlabel("difficulty (share hidden)", fontsize=10)
    axes.set_title(title, fontsize=11, loc="left", color=style.ink)
