"""Figures of verifications: the evidence look by look, where the policy stops, and calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from helicopter.core.evidence._calibration import ReliabilityCurve
from helicopter.core.results._verification import StoppingBoundaries, Verification, VerificationStep

from ._figures import bars_figure, result_overview
from ._style import LIGHT, Style, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "draw_boundaries",
    "draw_probability",
    "draw_reliability",
    "draw_share",
    "reliability_figure",
    "verification_figure",
]

_DECIDED = {"accept": "accepted", "reject": "rejected", "continue": "not decided"}
_MARKERS = {"accept": "^", "reject": "v", "continue": "D"}
#: A share has a little room at both ends, where a region of 0 or of 1 alone can be seen.
_BOTTOM, _TOP = -0.03, 1.03
#: So many looks are drawn one by one; in a longer trajectory points would be a blur.
_SINGLE = 80


def verification_figure(verification: Verification, style: Style = LIGHT) -> Figure:
    """Draw the share that is understood and the probability that it is enough, look by look."""
    figure = new_figure(9, 5.6, style)
    share, probability = figure.subplots(2, 1, sharex=True, height_ratios=(1.7, 1))
    draw_share(share, verification, style)
    draw_probability(probability, verification, style)
    share.set_xlabel("")
    return figure


def draw_share(axes: Axes, verification: Verification, style: Style) -> None:
    """Draw the share of successes with its credible band, and the regions in which it is decided.

    The regions hold for that share at that number of looks: where the line enters one, the policy
    stops.
    """
    dress(axes, style)
    steps = verification.trajectory
    looks = np.array([step.look for step in steps], dtype=np.int64)
    if len(steps):
        effective = np.array([step.effective_looks for step in steps])
        _shade(axes, looks, effective, verification.boundaries, style)
        successes = np.array([step.effective_successes for step in steps])
        axes.fill_between(
            looks,
            [step.low for step in steps],
            [step.high for step in steps],
            color=style.ink,
            alpha=0.16,
            linewidth=0,
            label=f"{100 * verification.credible_level:.3g} % interval of the share",
        )
        axes.plot(
            looks,
            successes / np.maximum(effective, 1e-12),
            color=style.ink,
            linewidth=1.8,
            marker="o" if len(steps) <= _SINGLE else "",
            markersize=3,
            label="share of the looks that succeeded",
        )
        _mark(axes, verification, float(successes[-1] / max(effective[-1], 1e-12)), style)
    else:
        _say(axes, "no look was taken", style)
    axes.axhline(
        verification.required_share,
        color=style.ink,
        linewidth=0.9,
        linestyle=":",
        label="required share",
    )
    axes.set_ylim(_BOTTOM, _TOP)
    axes.set_ylabel("share of the patches", fontsize=10)
    axes.set_xlabel("look", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend(axes, style, columns=3)


def draw_probability(axes: Axes, verification: Verification, style: Style) -> None:
    """Draw the probability that the share is enough, and from where on accepting costs less."""
    dress(axes, style)
    steps = verification.trajectory
    chances = [step.probability for step in steps]
    axes.plot(
        [step.look for step in steps],
        chances,
        color=style.series[0],
        linewidth=1.8,
        marker="o" if len(steps) <= _SINGLE else "",
        markersize=3,
        label="probability that the share is enough",
    )
    if steps:
        _mark(axes, verification, chances[-1], style)
    _, accept, reject = verification.costs
    axes.axhline(
        accept / (accept + reject),
        color=style.ink,
        linewidth=0.9,
        linestyle=":",
        label="above, accepting costs less",
    )
    axes.set_ylim(_BOTTOM, _TOP)
    axes.set_xlabel("look", fontsize=10)
    axes.set_ylabel("probability", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=style.faint, linewidth=0.7)
    axes.set_axisbelow(True)
    _legend(axes, style, columns=3)


def draw_boundaries(axes: Axes, boundaries: StoppingBoundaries, style: Style) -> None:
    """Draw, for each number of looks, at which share of successes the policy stops.

    As far as it may look on; of many looks the first are drawn further apart.
    """
    dress(axes, style)
    open_ = np.flatnonzero(boundaries.accept_from - boundaries.reject_at > 1)
    last = min(int(open_.max(initial=0)) + 1, len(boundaries.reject_at) - 1)
    looks = np.arange(1, last + 1)
    if looks.size:
        _shade(axes, looks, looks.astype(np.float64), boundaries, style)
        favour = np.minimum(boundaries.favour_from[looks], looks) / looks
        axes.plot(
            looks,
            favour,
            color=style.ink,
            linewidth=0.9,
            linestyle=":",
            label="accepting costs less from here on",
        )
        _legend(axes, style, columns=3)
    else:
        _say(axes, "decided without a look", style)
    axes.set_ylim(_BOTTOM, _TOP)
    axes.set_xlabel("look", fontsize=10)
    axes.set_ylabel("share of successes", fontsize=10)
    if last > _SINGLE:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(ScalarFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _say(axes: Axes, text: str, style: Style) -> None:
    middle = (0.5, 0.5)
    axes.annotate(text, middle, xycoords="axes fraction", ha="center", color=style.ink, fontsize=11)


def _shade(
    axes: Axes,
    looks: NDArray[np.int64],
    effective: NDArray[np.float64],
    boundaries: StoppingBoundaries,
    style: Style,
) -> None:
    """Shade where the policy accepts and where it rejects."""
    blue, orange, _ = style.series
    # the policy knows whole numbers, to which looks and successes are rounded
    whole = np.minimum(np.floor(effective + 0.5).astype(np.int64), len(boundaries.reject_at) - 1)
    unit = np.maximum(np.where(whole < effective - 0.5, whole, effective), 1e-12)
    accept_from, reject_at = boundaries.accept_from[whole], boundaries.reject_at[whole]
    accept = np.where(accept_from > whole, _TOP, np.maximum(accept_from - 0.5, 0.0) / unit)
    reject = np.where(reject_at < 0, _BOTTOM, np.minimum((reject_at + 0.5) / unit, 1.0))
    # half a look on both sides, so that a single look has an area too
    edges = np.concatenate([looks[:1] - 0.5, looks[:-1] + 0.5, looks[-1:] + 0.5])
    for name, inner, outer, colour in (
        ("accept", accept, _TOP, blue),
        ("reject", reject, _BOTTOM, orange),
    ):
        axes.fill_between(
            edges,
            np.append(inner, inner[-1]),
            outer,
            step="post",
            color=colour,
            alpha=0.22,
            linewidth=0,
            label=f"{name} in here",
        )
    axes.set_xlim(edges[0], edges[-1] + 0.02 * (edges[-1] - edges[0]))


def _mark(axes: Axes, verification: Verification, height: float, style: Style) -> None:
    """Mark the last look and what was decided there."""
    decision = verification.decision
    blue, orange, grey = style.series
    colour = {"accept": blue, "reject": orange, "continue": grey}[decision]
    look = verification.trajectory[-1].look
    axes.plot(
        [look],
        [height],
        marker=_MARKERS[decision],
        markersize=10,
        color=colour,
        markeredgecolor=style.ground,
        linestyle="",
        zorder=5,
        label=f"{_DECIDED[decision]} after {look} {'look' if look == 1 else 'looks'}",
        clip_on=False,
    )


def _legend(axes: Axes, style: Style, columns: int) -> None:
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=9,
        labelcolor=style.ink,
    )


@result_overview.register(Verification)
def _(result: Verification, style: Style) -> Figure:
    figure = verification_figure(result, style)
    low, high = result.credible_interval
    figure.suptitle(
        f"{_DECIDED[result.decision]} ({result.state}): probability "
        f"{result.understanding_probability:.3f} that at least {100 * result.required_share:.3g} % "
        f"reach quality {result.threshold:.3g}; share {low:.2f} to {high:.2f}",
        color=style.ink,
        fontsize=12,
    )
    return figure


@result_overview.register(VerificationStep)
def _(result: VerificationStep, style: Style) -> Figure:
    numbers = {
        "quality": result.quality,
        "probability": result.probability,
        "interval, low": result.low,
        "interval, high": result.high,
        "expected loss": result.expected_loss,
    }
    return bars_figure(numbers, f"Look {result.look}: {result.state}", style)


@result_overview.register(StoppingBoundaries)
def _(result: StoppingBoundaries, style: Style) -> Figure:
    figure = new_figure(9, 4.0, style)
    draw_boundaries(figure.subplots(), result, style)
    return figure


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
