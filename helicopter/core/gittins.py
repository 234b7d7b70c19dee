"""Gittins indices of Bernoulli arms, between two bounds.

The index of an arm is the reward of a known arm that is just as good: a problem of stopping, solved
by backward induction on the posterior's lattice (Gittins, Glazebrook and Weber, Multi-armed bandit
allocation indices, 2nd ed., 2011; Powell and Ryzhov, Optimal learning, 2012; Chakravorty and
Mahajan, Multi-armed bandits, Gittins index, and its calculation, 2014).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helicopter._shared.checks import check_fraction, check_integer, check_real
from helicopter._shared.result import Result
from helicopter.errors import ConvergenceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["GittinsIndex", "GittinsTable", "gittins_index", "gittins_table"]

#: Looks after which the future is cut off, at most.
MAX_DEPTH = 16384
#: Numbers in one array of the induction, at most.
CHUNK = 1 << 16
UNIT = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False, repr=False)
class GittinsIndex(Result):
    """What `gittins_index` found; ``float`` of it is the value.

    Attributes
    ----------
    value : float
        The middle of the bounds.
    lower, upper : float
        They enclose the index, rounding included.
    successes, failures : float
        Parameters of the Beta posterior.
    discount : float
    depth : int
        Looks after which the future was cut off, by a bound to either side.
    seconds : float
        Wall-clock time.
    """

    value: float
    lower: float
    upper: float
    successes: float
    failures: float
    discount: float
    depth: int
    seconds: float

    def __float__(self) -> float:
        return self.value


@dataclass(frozen=True, eq=False, repr=False)
class GittinsTable(Result):
    """The indices of all arms with a Beta(a, b) posterior, a and b from 1 to n.

    Attributes
    ----------
    value, lower, upper : float64 ndarray of shape (n, n)
        Entry (a - 1, b - 1) is that of Beta(a, b); see `GittinsIndex`.
    discount : float
    depth : int
        Looks after which the future was cut off, counted from Beta(1, 1).
    seconds : float
        Wall-clock time.
    """

    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    discount: float
    depth: int
    seconds: float


def gittins_index(
    successes: float, failures: float, discount: float, *, epsilon: float = 1e-6
) -> GittinsIndex:
    """Return the Gittins index of a Bernoulli arm whose chance of success is Beta-distributed.

    Parameters
    ----------
    successes, failures : float
        Parameters a and b of the Beta posterior, above 0: successes and failures seen, plus what
        the prior puts in (one each for a uniform prior).
    discount : float
        Between 0 and 1, both excluded.
    epsilon : float, default 1e-6
        Largest width of the enclosure; at least 1e-10.

    Returns
    -------
    GittinsIndex

    Raises
    ------
    InvalidOptionError
    ConvergenceError
        The bounds are further apart than `epsilon` after 16384 looks; `solution` has them.

    Examples
    --------
    >>> from helicopter.core import gittins_index
    >>> round(float(gittins_index(1, 1, 0.9)), 5)
    0.70289
    """
    started = time.perf_counter()
    a = check_real(successes, "successes", above=0.0)
    b = check_real(failures, "failures", above=0.0)
    discount = check_fraction(discount, "discount", ends=False)
    epsilon = check_real(epsilon, "epsilon", least=1e-10)
    low, high, depth = _enclose(a, b, 1, discount, epsilon)
    found = GittinsIndex(
        value=float(low[0, 0] + high[0, 0]) / 2,
        lower=float(low[0, 0]),
        upper=float(high[0, 0]),
        successes=a,
        failures=b,
        discount=discount,
        depth=depth,
        seconds=time.perf_counter() - started,
    )
    if found.upper - found.lower > epsilon:
        raise _not_reached(found.upper - found.lower, depth, epsilon, found)
    return found


def gittins_table(n: int, discount: float, *, epsilon: float = 1e-6) -> GittinsTable:
    """Return the Gittins indices of all Beta(a, b) posteriors with a and b from 1 to n.

    Parameters
    ----------
    n : int
        From 1 to 200.
    discount, epsilon : float
        As in `gittins_index`.

    Returns
    -------
    GittinsTable

    Raises
    ------
    InvalidOptionError, ConvergenceError

    Examples
    --------
    >>> from helicopter.core import gittins_table
    >>> gittins_table(3, 0.9).value.diagonal().round(5)
    array([0.70289, 0.63463, 0.601  ])
    """
    started = time.perf_counter()
    n = check_integer(n, "n", 1, 200)
    discount = check_fraction(discount, "discount", ends=False)
    epsilon = check_real(epsilon, "epsilon", least=1e-10)
    low, high, depth = _enclose(1.0, 1.0, n, discount, epsilon)
    found = GittinsTable(
        value=(low + high) / 2,
        lower=low,
        upper=high,
        discount=discount,
        depth=depth,
        seconds=time.perf_counter() - started,
    )
    width = float((high - low).max())
    if width > epsilon:
        raise _not_reached(width, depth, epsilon, found)
    return found


def _not_reached(width: float, depth: int, epsilon: float, found: Result) -> ConvergenceError:
    return ConvergenceError(
        f"epsilon: the bounds of the index are {width:.3g} apart after {depth} looks, more than "
        f"the {epsilon:g} asked for; a larger epsilon or a smaller discount can be reached.",
        found,
    )


def _enclose(
    a: float, b: float, size: int, discount: float, epsilon: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Bound the indices of Beta(a + i, b + j), i and j below `size`; say to which depth.

    What an arm gains over a known one, as a function of the known one's reward, is convex and
    falls. So a tangent of its lower bound crosses zero below the index, and a chord of its upper
    bound crosses it above; both close in ever faster.
    """
    grid = np.arange(size, dtype=np.float64)
    mean = (a + grid[:, None]) / (a + b + grid[:, None] + grid)
    low, high = mean * (1.0 - 4 * UNIT), np.ones((size, size))
    # the right end of the chord: a known arm that always pays
    right, gain_right = high.copy(), (1.0 - discount) * (mean - 1.0) * (1.0 - 8 * UNIT)
    depth = 2 * size + 14
    while True:
        # the left one: a known arm that pays nothing. What was nearer at a smaller depth may now
        # lie beyond the index
        left, gain_left = np.zeros((size, size)), mean * (1.0 + 4 * UNIT)
        shrinking = True
        while shrinking and (high - low).max() > epsilon:
            width = high - low
            open_ = width > epsilon
            rewards = np.unique(np.concatenate([low[open_], high[open_]]))
            for part in np.array_split(rewards, -(-len(rewards) * (depth + 1) // CHUNK)):
                for reward, least, fall, most in _gains(a, b, size, discount, depth, part):
                    tangent = (reward + least / fall) * (1.0 - 2 * UNIT)
                    np.maximum(low, tangent, out=low, where=least >= 0)
                    for end, gain, nearer in (
                        (left, gain_left, (most > 0) & (reward > left) & (reward < right)),
                        (right, gain_right, (most <= 0) & (reward < right)),
                    ):
                        end[nearer], gain[nearer] = reward, most[nearer]
            chord = left + (right - left) * (gain_left / (gain_left - gain_right))
            np.minimum(high, np.minimum(chord * (1.0 + 8 * UNIT), right), out=high)
            shrinking = not ((high - low)[open_] > 0.5 * width[open_]).all()
        if (high - low).max() <= epsilon or depth >= MAX_DEPTH:
            return low, high, depth
        depth = min(2 * depth, MAX_DEPTH)


def _gains(
    a: float, b: float, size: int, discount: float, depth: int, known: NDArray[np.float64]
) -> Iterator[tuple[float, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    """Yield of each known arm's reward what one more look at Beta(a + i, b + j) gains over it.

    Three arrays of shape (size, size): a lower bound, at least how fast it falls when the reward
    grows, and an upper bound. Gains are per step, (1 - discount) times their sum.

    After `depth` looks the future is cut off. It is worth at least the better of the known arm and
    the mean, and at most what one who were told the truth would get, E max(p, known). Of that the
    bound by Scarf (1958) is taken, E (p - k)+ <= (sqrt(var + (k - mean)^2) - (k - mean)) / 2.
    """
    reward = known[:, None]
    count = np.arange(depth + 1, dtype=np.float64)
    total = a + b + depth
    mean = (a + count) / total
    variance = mean * (1.0 - mean) / (total + 1.0)
    above = mean - reward
    root = np.sqrt(variance + above * above)
    # the two forms are one; each is good where the other cancels
    excess = np.where(above > 0, root + above, variance / (root + np.abs(above))) / 2
    least = np.maximum(reward, mean)
    slope = (above <= 0).astype(np.float64)
    most = (reward + excess) * (1.0 + 8 * UNIT)
    shape = (len(known), size, size)
    gain, fall, top = np.empty(shape), np.empty(shape), np.empty(shape)
    # each step rounds by a few units, and what was rounded before is discounted
    rounding = 16 * UNIT * min(depth, 1.0 / (1.0 - discount))
    for looks in range(depth - 1, -1, -1):
        mean = (a + count[: looks + 1]) / (a + b + looks)
        up, down = discount * mean, discount * (1.0 - mean)
        pays = (1.0 - discount) * mean
        slope = up * slope[:, 1:] + down * slope[:, :-1]
        least = up * least[:, 1:] + down * least[:, :-1] + pays
        most = up * most[:, 1:] + down * most[:, :-1] + pays
        if looks <= 2 * (size - 1):
            i = np.arange(max(0, looks - size + 1), min(size, looks + 1))
            gain[:, i, looks - i] = least[:, i] - reward - rounding
            fall[:, i, looks - i] = 1.0 - slope[:, i] + rounding
            top[:, i, looks - i] = most[:, i] - reward + rounding
        stops = least <= reward
        slope[stops] = 1.0
        least = np.maximum(least, reward)
        most = np.maximum(most, reward)
    for k, value in enumerate(known):
        yield float(value), gain[k], fall[k], top[k]
