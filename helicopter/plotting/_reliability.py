"""Figures of calibration: what was stated against what came true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from helicopter.core.evidence._calibration import ReliabilityCurve

from ._figures import result_overview
from ._style import LIGHT, Style, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_reliability", "reliability_figure"]


def reliability_figure(curve: ReliabilityCurve, style: Style = LIGHT) -> Figure:
    """Draw the frequency over the stated probability, and how often each was stated."""
    figure = new_figure(6.4, 6.6, style)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.set_title(
        f"expected calibration error {curve.expected_calibration_error:.3f}, Brier score "
        f"{curve.brier_score:.3f}",
        color=style.ink,
        fontsize=11,
    )
    draw_reliability(above, curve, style)
    above.set_xlabel("")
    dress(below, style)
    below.bar(
        curve.edges[:-1],
        curve.counts,
        width=0.94 * np.diff(curve.edges),
        align="edge",
        color=style.series[0],
        alpha=0.5,
    )
    below.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4, min_n_ticks=1))
    below.set_xlabel("stated probability", fontsize=10)
    below.set_ylabel("statements", fontsize=10)
    return figure


def draw_reliability(axes: Axes, curve: ReliabilityCurve, style: Style) -> None:
    """Draw the frequencies with their 95 % intervals beside the diagonal."""
    dress(axes, style)
    blue, orange, _ = style.series
    axes.plot([0, 1], [0, 1], color=orange, linewidth=1.4, linestyle=(0, (4, 2)), label="as stated")
    some = curve.counts > 0
    middle = curve.frequency[some]
    errors = (
        np.maximum(middle - curve.low[some], 0.0),
        np.maximum(curve.high[some] - middle, 0.0),
    )
    axes.errorbar(
        curve.probability[some],
        middle,
        yerr=errors,
        color=blue,
        linewidth=1.6,
        marker="o",
        markersize=5,
        capsize=3,
        label="came true, with 95 % intervals",
    )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("stated probability", fontsize=10)
    axes.set_ylabel("share that came true", fontsize=10)
    axes.grid(color=style.faint, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=9, labelcolor=style.ink, loc="upper left")


@result_overview.register(ReliabilityCurve)
def _(result: ReliabilityCurve, style: Style) -> Figure:
    return reliability_figure(result, style)
