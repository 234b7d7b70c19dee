"""Figures of decision processes: values between their bounds, and policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from helicopter.core.evidence._stopping_policy import StoppingPolicy
from helicopter.decisions._results import MDPSolution, TransitionIntervals, ValueIntervals

from ._figures import result_overview
from ._style import Style, dress, new_figure
from ._verification import draw_boundaries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["draw_policy", "draw_values"]

#: So many states are drawn one by one.
_SINGLE = 80


def draw_values(axes: Axes, solution: MDPSolution, style: Style) -> None:
    """Draw the value of each state between its bounds; of a finite horizon, before the first step.

    Bounds that are closer together than a line is wide are not seen apart.
    """
    dress(axes, style)
    value, lower, upper = (
        np.atleast_2d(array)[0] for array in (solution.value, solution.lower, solution.upper)
    )
    states = np.arange(value.size)
    axes.fill_between(
        states, lower, upper, color=style.series[1], alpha=0.5, linewidth=0, label="bounds"
    )
    axes.plot(
        states,
        value,
        color=style.series[0],
        linewidth=1.4 if value.size > _SINGLE else 0,
        marker="" if value.size > _SINGLE else "o",
        markersize=4,
        label="value",
    )
    axes.set_xlabel("state", fontsize=10)
    axes.set_ylabel("value", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=style.faint, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        frameon=False,
        fontsize=9,
        labelcolor=style.ink,
    )


def draw_policy(axes: Axes, solution: MDPSolution, style: Style) -> None:
    """Draw the number of the action for each state; none where a state is terminal."""
    dress(axes, style)
    policy = solution.policy
    if policy.ndim == 2:
        policy = policy[0] if len(policy) else np.full(policy.shape[1], -1)
    act = np.flatnonzero(policy >= 0)
    axes.plot(
        act,
        policy[act],
        color=style.series[0],
        linestyle="",
        marker="s",
        markersize=4 if policy.size <= _SINGLE else 1.5,
    )
    axes.set_xlabel("state", fontsize=10)
    axes.set_ylabel("action", fontsize=10)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=style.faint, linewidth=0.7)
    axes.set_axisbelow(True)


@result_overview.register(MDPSolution)
def _(result: MDPSolution, style: Style) -> Figure:
    figure = new_figure(9, 5.6, style)
    values, policy = figure.subplots(2, 1, sharex=True, height_ratios=(1.7, 1))
    figure.suptitle(
        f"{result.criterion.replace('_', ' ')}, by {result.method.replace('_', ' ')}: "
        f"bounds at most {result.width:.2g} apart",
        color=style.ink,
        fontsize=12,
    )
    draw_values(values, result, style)
    draw_policy(policy, result, style)
    values.set_xlabel("")
    return figure


@result_overview.register(ValueIntervals)
def _(result: ValueIntervals, style: Style) -> Figure:
    figure = new_figure(9, 4.4, style)
    axes = figure.subplots()
    best, policy = "who knew the transitions", "the policy"
    _draw_intervals(
        axes,
        {
            best: (result.mean, result.lower, result.upper),
            policy: (result.policy_mean, result.policy_lower, result.policy_upper),
        },
        style,
    )
    axes.set_xlabel("state", fontsize=10)
    axes.set_ylabel("value", fontsize=10)
    axes.set_title(
        f"{100 * result.level:.3g} % intervals over {result.n_samples} models",
        fontsize=11,
        loc="left",
        color=style.ink,
    )
    return figure


@result_overview.register(TransitionIntervals)
def _(result: TransitionIntervals, style: Style) -> Figure:
    figure = new_figure(9, 4.4, style)
    axes = figure.subplots()
    mean, lower, upper = (array.ravel() for array in (result.mean, result.lower, result.upper))
    _draw_intervals(axes, {"posterior mean": (mean, lower, upper)}, style)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("transition, by state, action and next state", fontsize=10)
    axes.set_ylabel("probability", fontsize=10)
    title = f"{100 * result.level:.3g} % intervals"
    axes.set_title(title, fontsize=11, loc="left", color=style.ink)
    return figure


def _draw_intervals(
    axes: Axes, of: Mapping[str, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]], style: Style
) -> None:
    """Draw a point with its interval for each entry, side by side."""
    dress(axes, style)
    for number, (name, (middle, low, high)) in enumerate(of.items()):
        at = np.arange(middle.size) + 0.2 * (number - (len(of) - 1) / 2)
        axes.vlines(at, low, high, color=style.series[number], linewidth=1.6, alpha=0.7)
        axes.plot(
            at,
            middle,
            color=style.series[number],
            linestyle="",
            marker="os"[number],
            markersize=5 if middle.size <= _SINGLE else 2,
            label=name,
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=style.faint, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        frameon=False,
        fontsize=9,
        labelcolor=style.ink,
    )


@result_overview.register(StoppingPolicy)
def _(result: StoppingPolicy, style: Style) -> Figure:
    figure = new_figure(9, 4.4, style)
    axes = figure.subplots()
    draw_boundaries(axes, result.boundaries, style)
    look, accept, reject = result.costs
    figure.suptitle(
        f"required share {result.required_share:.3g}; a look costs {look:.3g}, a false accept "
        f"{accept:.3g}, a false reject {reject:.3g}",
        color=style.ink,
        fontsize=12,
    )
    return figure
