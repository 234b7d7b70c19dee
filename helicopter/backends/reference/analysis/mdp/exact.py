"""Residuals of the Bellman equation to twice the working precision."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .bellman import csr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.backends.protocol import DecisionModel

__all__ = ["UNIT", "Exact", "Residual", "two_product", "two_sum"]

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
