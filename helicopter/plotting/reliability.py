"""Figures of calibration: what was stated against what came true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter.core.calibration import ReliabilityCurve
from helicopter.plotting.figures import result_overview
from helicopter.plotting.style import LIGHT, Style, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_reliability", "reliability_figure"]


def reliability_figure(curve: ReliabilityCurve, style: Style = LIGHT) -> Figure:
    """Draw the frequency over the stated probability, and how often each was stated."""
    figure = new_figure(5.6, 6.2, style)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    draw_reliability(above, curve, style)
    dress(below, style)
    width = np.diff(curve.edges)
    below.bar(curve.edges[:-1], curve.counts, width=width, align="edge", color=style.ink, alpha=0.3)
    below.set_xlabel("stated probability")
    below.set_ylabel("statements")
    return figure


def draw_reliability(axes: Axes, curve: ReliabilityCurve, style: Style) -> None:
    """Draw the frequencies with their 95 % intervals beside the diagonal."""
    dress(axes, style)
    axes.plot([0, 1], [0, 1], color=style.ink, linewidth=0.9, linestyle=":")
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
        color=style.ink,
        linewidth=1.2,
        marker="o",
        markersize=4,
        capsize=2,
    )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("came true")
    axes.set_title(
        f"expected calibration error {curve.expected_calibration_error:.3f}", color=style.ink
    )


@result_overview.register(ReliabilityCurve)
def _(result: ReliabilityCurve, style: Style) -> Figure:
    return reliability_figure(result, style)
