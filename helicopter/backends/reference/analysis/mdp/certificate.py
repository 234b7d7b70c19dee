"""From residuals to bounds on the optimal value that hold after all roundings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .exact import UNIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .bellman import Bellman
    from .exact import Exact, Residual

__all__ = ["Enclosure", "Steps", "discounted_steps", "enclose", "total_steps"]

INFINITE = math.inf


class Steps(NamedTuple):
    """How much a residual of one, everywhere and for ever, can come to.

    `most` bounds it from above. `least`, from below, serves where a residual has the same sign
    everywhere; it is infinite if that says nothing. `weights` are None if it is the same from all
    states; otherwise `most` is the largest of them.
    """

    most: float
    least: float
    weights: NDArray[np.float64] | None


class Enclosure(NamedTuple):
    """Bounds on the optimal value, of which `lower` also bounds the value of the policy."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    pairs: NDArray[np.int64]
    width: float
    #: What has to be added to V, as a multiple of the weights, to be in the middle of the bounds.
    middle: float


def discounted_steps(bellman: Bellman, exact: Exact) -> Steps:
    """1 / (1 - discount * row sum), for the largest and the smallest row sum.

    For c >= 0, V + c w is no less than T(V + c w) if TV <= V + c and w >= 1 + discount * (row sum)
    * w; so V + c w bounds the optimal value from above (Puterman 1994, theorem 6.2.2; the bounds
    are those of MacQueen 1966 and Porteus 1971). If c < 0, the same holds for the smallest w. Only
    states that are not terminal are shifted, so only these count in the row sums.
    """
    inside = np.zeros(bellman.n_states)
    inside[bellman.states] = 1.0
    sums = bellman.matrix @ inside
    # of the products with the discount, their sum, and what is done here
    off = (exact.longest + 4.0) * UNIT
    most = 1.0 - float(sums.max(initial=0.0)) * (1.0 + off) - off
    least = 1.0 - float(sums.min(initial=0.0)) * (1.0 - off) + off
    if most <= 0.0:
        return Steps(INFINITE, INFINITE, None)
    return Steps(1.0 / most * (1.0 + off), 1.0 / least * (1.0 - off), None)


def total_steps(bellman: Bellman, exact: Exact, guess: NDArray[np.float64]) -> Steps:
    """Weights w >= 1 + discount * P w for all pairs, from a guess at the largest number of steps.

    If 1 + P g - g <= e < 1 everywhere, then w = g / (1 - e) has 1 + P w <= w. Where such w >= 0
    exist, no policy goes on for ever (Bertsekas & Tsitsiklis 1991), and TV <= V + c for c >= 0
    gives V + c w as an upper bound as it does with a discount.
    """
    ones = np.ones(len(exact.model.actions))
    found = exact.residual(ones, None, bellman.discount, guess, None)
    worst = max(found.above(float(found.values.max(initial=-1.0))), 0.0)
    if not worst < 0.75 or not bool((guess >= 0.0).all()):
        return Steps(INFINITE, INFINITE, None)
    weights = np.nextafter(guess / np.nextafter(1.0 - worst, 0.0), np.inf)
    weights[guess == 0.0] = 0.0
    return Steps(float(weights.max(initial=1.0)), INFINITE, weights)


def enclose(
    bellman: Bellman,
    steps: Steps,
    residual: Residual,
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    epsilon: float,
) -> Enclosure:
    """Bounds from the residuals of V = high + low; the policy is greedy for V.

    Of pairs whose residual lies within epsilon / (8 w) of the best, the first is taken.
    """
    values = residual.values
    best = bellman.best(values)
    slack = epsilon / (8.0 * steps.most)
    pairs = bellman.first_within(values, best, slack)
    most = residual.above(float(best.max(initial=-INFINITE))) if len(best) else 0.0
    least = residual.below(float(values[pairs].min(initial=INFINITE))) if len(best) else 0.0
    if not (math.isfinite(most) and math.isfinite(least) and steps.most < INFINITE):
        most, least = INFINITE, -INFINITE
    above = _shift(most, steps, math.inf)
    below = _shift(least, steps, -math.inf)
    lower = _bound(high, low, below, bellman, steps, -np.inf)
    upper = _bound(high, low, above, bellman, steps, np.inf)
    with np.errstate(invalid="ignore"):
        width = float((upper - lower).max(initial=0.0))
    middle = 0.5 * (above + below) if math.isfinite(above - below) else 0.0
    return Enclosure(lower, upper, pairs, width, middle)


def _shift(residual: float, steps: Steps, towards: float) -> float:
    """How far V can be moved by this residual; a multiple of the weights if there are any."""
    if not math.isfinite(residual):
        return residual
    outward = residual >= 0.0 if towards > 0.0 else residual <= 0.0
    if steps.weights is not None:
        return residual if outward else 0.0
    if not outward and not math.isfinite(steps.least):
        return 0.0
    return math.nextafter(residual * (steps.most if outward else steps.least), towards)


def _bound(
    high: NDArray[np.float64],
    low: NDArray[np.float64],
    shift: float,
    bellman: Bellman,
    steps: Steps,
    towards: float,
) -> NDArray[np.float64]:
    """High + low + shift * weights, rounded outward, and not at all where that is a float64."""
    if steps.weights is None or not math.isfinite(shift):
        moved = low + shift if shift else low.copy()
    else:
        moved = np.nextafter(steps.weights * shift, towards) + low
    if shift or low.any():
        moved = np.nextafter(moved, towards)
    with np.errstate(invalid="ignore"):
        bound = high + moved
        back = bound - high
        error = (high - (bound - back)) + (moved - back)
        outside = error > 0.0 if towards > 0.0 else error < 0.0
    bound = np.where(outside, np.nextafter(bound, towards), bound)
    if bellman.has_terminal:
        inside = np.zeros(bellman.n_states, dtype=bool)
        inside[bellman.states] = True
        bound[~inside] = 0.0
    return bound
