"""From residuals in twice the working precision to bounds that hold after all roundings."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .sweep import csr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.backends.protocol import DecisionModel

    from .sweep import Bellman


__all__ = [
    "UNIT",
    "Enclosure",
    "Exact",
    "Residual",
    "Steps",
    "discounted_steps",
    "enclose",
    "total_steps",
    "two_product",
    "two_sum",
]

#: Largest relative error of a rounding.
UNIT = 2.0**-53
#: More than what all underflows of a row can come to.
TINY = 1e-290


class Residual:
    """Residuals of all pairs, and how far they are off at most.

    The true residual lies within UNIT * |values| + `error` of `values`, for each pair.
    """

    def __init__(self, values: NDArray[np.float64], error: float) -> None:
        self.values = values
        self.error = error

    def above(self, value: float) -> float:
        """At least the true residual where `value` was computed."""
        return math.nextafter(value + (2 * UNIT * abs(value) + self.error), math.inf)

    def below(self, value: float) -> float:
        """At most the true residual where `value` was computed."""
        return math.nextafter(value - (2 * UNIT * abs(value) + self.error), -math.inf)


class Exact:
    r"""Products of the model's rows with vectors, free of rounding but for the tail.

    The splitting of Ozaki, Ogita, Oishi & Rump (Numer. Algorithms 59, 2012): with n the length of
    the longest row, b = floor((53 - ceil(log2 n)) / 2), and 2^k at least the largest entry of V,

        p = p1 + p2 + p3,   p1 in 2^-b Z,        p2 in 2^-2b Z,        |p2| <= 2^-b-1,
                            |p3| <= 2^-2b-1
        V = v1 + v2 + v3,   v1 in 2^(k-b) Z,     v2 in 2^(k-2b) Z,     |v2| <= 2^(k-b-1),
                            |v3| <= 2^(k-2b-1)

    without any rounding, since each part is what rounding to a grid leaves over. All terms of
    P1 v1 are whole multiples of 2^(k-2b), and their sums are at most n 2^k <= 2^53 such multiples:
    every partial sum is a float64, in any order. The same holds for P1 v2 and P2 v1, whose terms
    are multiples of 2^(k-3b) and at most 2^(k-b-1). So SciPy's sparse products compute these three
    exactly, and only the tail

        t = P1 (v3 + low) + P2 (v2 + v3 + low) + P3 (V + low),
            |terms| <= 2^(k-2b-1) + l, 2^(-b-1) (2^(k-b) + l), 2^(-2b-1) (2^k + l)

    is rounded: with l = max |low|, far below 2^k, T = n (2^(k-2b+1) + l) bounds the sum of its
    absolute terms, and (3 n + 4) UNIT T its error (Higham, Accuracy and Stability, 2002, section
    3.1). The rest, the discount, the reward and - V, is added up by TwoSum and TwoProduct (Ogita,
    Rump & Oishi, SIAM J. Sci. Comput. 26, 2005): what these leave over is at most
    W = T + l + 8 UNIT (4 * 2^k + R), with R the largest reward, and is added up in plain float64
    with at most 12 roundings. The final sum is rounded once, relative to itself. This gives the
    error 4 UNIT ((n + 8) T + 4 W).
    """

    def __init__(self, model: DecisionModel) -> None:
        self.model = model
        self.longest = int(np.diff(model.row_start).max(initial=1))
        self.bits = (53 - math.ceil(math.log2(max(self.longest, 2)))) // 2
        counts = np.diff(model.pair_start)
        self.state_of = np.repeat(np.arange(len(counts)), counts)

    @cached_property
    def _parts(self) -> tuple[Any, Any, Any]:
        chances = self.model.probabilities
        first = _round_to(chances, 2.0**-self.bits)
        rest = chances - first
        second = _round_to(rest, 2.0 ** (-2 * self.bits))
        return csr(self.model, first), csr(self.model, second), csr(self.model, rest - second)

    def product(
        self, high: NDArray[np.float64], low: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """P (high + low) as a sum of two, and the error of the second as long as it is alone."""
        largest = float(np.abs(high).max(initial=0.0))
        lowest = 0.0 if low is None else float(np.abs(low).max(initial=0.0))
        if not largest < 1e290:
            nothing = np.full(len(self.model.actions), np.nan)
            return nothing, nothing, math.inf
        power = math.frexp(largest)[1] if largest else 0
        first = _round_to(high, math.ldexp(1.0, power - self.bits))
        rest = high - first
        second = _round_to(rest, math.ldexp(1.0, power - 2 * self.bits))
        tail = rest - second if low is None else (rest - second) + low
        one, two, three = self._parts
        by_one = one @ np.stack([first, second, tail], axis=1)
        by_two = two @ np.stack([first, second + tail], axis=1)
        by_three = three @ (high if low is None else high + low)
        total, error = two_sum(by_one[:, 1], by_two[:, 0])
        total, more = two_sum(by_one[:, 0], total)
        coarse = math.ldexp(1.0, power - 2 * self.bits + 1) if largest else 0.0
        bound = self.longest * (coarse + lowest)
        small = error + more + (by_one[:, 2] + by_two[:, 1] + by_three)
        return total, small, bound

    def residual(
        self,
        rewards: NDArray[np.float64],
        rewards_low: NDArray[np.float64] | None,
        discount: float,
        high: NDArray[np.float64],
        low: NDArray[np.float64] | None,
    ) -> Residual:
        """Reward + discount P V - V for all pairs, with V = high + low."""
        total, small, tail = self.product(high, low)
        with np.errstate(all="ignore"):
            product, error = two_product(discount, total)
            error += discount * small
            if rewards_low is not None:
                error += rewards_low
            if low is not None:
                error -= low[self.state_of]
            product, more = two_sum(product, rewards)
            product, last = two_sum(product, -high[self.state_of])
            values = product + (last + (more + error))
        size = 4.0 * float(np.abs(high).max(initial=0.0)) * 2.0
        size += float(np.abs(rewards).max(initial=0.0))
        lowest = 0.0 if low is None else float(np.abs(low).max(initial=0.0))
        left_over = tail + lowest + 8.0 * UNIT * size
        bound = 4.0 * UNIT * ((self.longest + 8) * tail + 4.0 * left_over) * 1.01
        if high.any():
            bound += TINY
        return Residual(values, bound)


def _round_to(values: NDArray[np.float64], grid: float) -> NDArray[np.float64]:
    """Round to multiples of a power of two; what is left over is exact."""
    shift = 1.5 * 2.0**52 * grid
    return np.asarray((values + shift) - shift)


def two_sum(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The rounded sum and its error (Knuth)."""
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def two_product(
    a: float, b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The rounded product and its error (Dekker, with Veltkamp's splitting)."""
    product = a * b
    wide = a * 134217729.0
    a_high = wide - (wide - a)
    a_low = a - a_high
    wider = b * 134217729.0
    b_high = wider - (wider - b)
    b_low = b - b_high
    error = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    return product, error


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
