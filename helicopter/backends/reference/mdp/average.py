"""The average reward per step where it is the same from all states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import splu

from helicopter._shared.blas import blas_on_one_thread
from helicopter.backends.protocol import AverageRun

from .bellman import Bellman
from .exact import UNIT, Exact

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Progress
    from helicopter.backends.protocol import DecisionModel

__all__ = ["solve"]

#: Up to so many states, policies are evaluated at once; with more, sweeps are tried first.
SMALL = 2000
#: So many sweeps.
SWEEPS = 600


@blas_on_one_thread()
def solve(
    model: DecisionModel,
    epsilon: float,
    max_iterations: int | None,
    progress: Progress | None,
) -> AverageRun:
    """See `helicopter.backends.protocol.Backend.solve_average`.

    For any h, the best gain is at most the largest of Th - h, and a policy with T h = T_d h earns
    at least the smallest (Odoni 1969; Puterman 1994, theorem 8.5.5). h comes from relative value
    iteration (White 1963), half of the old h kept in each sweep, so that nothing goes round in
    circles (Schweitzer 1971), or from policy iteration (Howard 1960), in which a policy with
    several closed classes is led to the best of them (Haviv & Puterman 1991).
    """
    search = _Search(model, epsilon, max_iterations, progress)
    with np.errstate(all="ignore"):
        if search.bellman.n_states > SMALL:
            search.sweep()
        if not search.converged:
            search.improve()
    policy = search.bellman.spread(model.actions[search.pairs].astype(np.int64), -1)
    return AverageRun(
        search.low,
        search.high,
        search.bias - search.bias[0],
        policy,
        search.iterations,
        search.converged,
    )


class _Search:
    """The best bounds so far, and the way to better ones."""

    def __init__(
        self,
        model: DecisionModel,
        epsilon: float,
        limit: int | None,
        progress: Progress | None,
    ) -> None:
        self.model = model
        self.bellman, self.exact = Bellman(model, 1.0), Exact(model)
        self.epsilon = epsilon
        self.limit = limit
        self.progress = progress
        self.iterations = 0
        self.low, self.high = -np.inf, np.inf
        self.bias = np.zeros(self.bellman.n_states)
        self.pairs = self.bellman.starts
        high, low, _ = self.exact.product(np.ones(self.bellman.n_states), None)
        self.surplus = (high - 1.0) + low  # how much more than one a row adds up to

    @property
    def converged(self) -> bool:
        return self.high - self.low <= self.epsilon

    def count(self) -> bool:
        """One more iteration, unless there were enough."""
        if self.limit is not None and self.iterations >= self.limit:
            return False
        self.iterations += 1
        if self.progress is not None:
            self.progress(self.iterations, self.limit or self.iterations + 1)
        return True

    def look(self, value: NDArray[np.float64]) -> None:
        """Take over the bounds that `value` gives, if they are nearer to each other.

        The average is that of rows divided by their sums, 1 + surplus: (P h - h surplus - h) / (1 +
        surplus) is what h gains by a step, with P h - h to twice the precision.
        """
        bellman, state_of = self.bellman, self.exact.state_of
        nothing = np.zeros(len(self.model.actions))
        gained = self.exact.residual(nothing, None, 1.0, value, None)
        moved = value[state_of] * self.surplus
        rate = (gained.values - moved) / (1.0 + self.surplus)
        rewards = self.model.rewards + self.model.rewards_low
        q = rewards + rate
        # seven roundings, and what was already off before them
        off = 8.0 * UNIT * (np.abs(rewards) + np.abs(gained.values) + np.abs(moved))
        off += 2.0 * gained.error + 4.0 * UNIT * UNIT * self.exact.longest * np.abs(value[state_of])
        best = bellman.best(q)
        pairs = bellman.first_within(q, best, self.epsilon / 8.0)
        high = float(np.nextafter(bellman.best(q + off), np.inf).max())
        low = float(np.nextafter((q - off)[pairs], -np.inf).min())
        if high - low < self.high - self.low:
            self.low, self.high, self.pairs, self.bias = low, high, pairs, value

    def sweep(self) -> None:
        """Relative value iteration."""
        bellman, rewards = self.bellman, self.model.rewards
        value = np.zeros(bellman.n_states)
        first = np.inf
        for number in range(SWEEPS if self.limit is None else self.limit):
            change = bellman.best(bellman.q(rewards, value)) - value
            if not self.count():
                break
            most, least = float(change.max()), float(change.min())
            span = most - least
            if span <= 0.5 * self.epsilon:
                break
            if number == SWEEPS // 6:
                first = span
            elif number == SWEEPS // 3:  # will it do, going on like this?
                rate = (span / first) ** (6.0 / SWEEPS)
                ahead = SWEEPS - number
                if not span * rate**ahead <= 0.5 * self.epsilon:
                    break
            value += 0.5 * (change - 0.5 * (most + least))
        self.look(value)

    def improve(self) -> None:
        """Policy iteration."""
        bellman, rewards = self.bellman, self.model.rewards
        q = bellman.q(rewards, self.bias)
        pairs = bellman.first_within(q, bellman.best(q), 0.0)
        tried: set[int] = set()
        while True:
            pairs = self.led(pairs)
            seen = hash(pairs.tobytes())
            if seen in tried or not self.count():  # as good as each other but for roundings
                break
            tried.add(seen)
            value = _relative_values(bellman.matrix[pairs], rewards[pairs])
            if not np.isfinite(value).all():
                break
            self.look(value)
            q = bellman.q(rewards, value)
            best = bellman.best(q)
            size = float(np.abs(value).max())
            better = best > q[pairs] + 16.0 * UNIT * (size + np.abs(best))
            if self.converged or not better.any():
                break
            pairs = np.where(better, bellman.first_within(q, best, 0.0), pairs)

    def led(self, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Change the policy so that it ends up in one class: the one of the best gain."""
        bellman, rewards = self.bellman, self.model.rewards
        matrix = bellman.matrix[pairs]
        classes = _closed_classes(matrix)
        if len(classes) < 2:
            return pairs
        gains = [_gain(matrix[members][:, members], rewards[pairs[members]]) for members in classes]
        reached = np.zeros(bellman.n_states, dtype=bool)
        reached[classes[int(np.argmax(gains))]] = True
        led = pairs.copy()
        # first whatever the policy leads there by itself, then by other actions
        for whole, choice in ((matrix, None), (bellman.matrix, bellman.starts)):
            while True:
                chance = whole @ reached.astype(np.float64)
                if choice is None:
                    new = ~reached & (chance > 0.0)
                else:
                    best = bellman.best(chance)
                    new = ~reached & (best > 0.0)
                    led[new] = bellman.first_within(chance, best, 0.0)[new]
                if not new.any():
                    break
                reached |= new
        return led


def _closed_classes(matrix: Any) -> list[NDArray[np.int64]]:
    """The recurrent classes of a chain."""
    count, label = csgraph.connected_components(matrix, directed=True, connection="strong")
    row_of = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    closed = np.ones(count, dtype=bool)
    closed[label[row_of[label[row_of] != label[matrix.indices]]]] = False
    order = np.argsort(label, kind="stable")
    ends = np.cumsum(np.bincount(label, minlength=count))
    return [order[ends[k] - np.sum(label == k) : ends[k]] for k in np.flatnonzero(closed)]


def _gain(matrix: Any, paid: NDArray[np.float64]) -> float:
    """Gain of a chain of a single class."""
    value = _relative_values(matrix, paid)
    return float(np.mean(paid + matrix @ value - value))


def _relative_values(matrix: Any, paid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve h + g = reward + P h with h = 0 in the first state of the closed class.

    That state's column holds the gain instead: all ones.
    """
    size = matrix.shape[0]
    (members, *_) = _closed_classes(matrix)
    anchor = int(members[0])
    keep = np.ones(size)
    keep[anchor] = 0.0
    ones = sparse.csc_array(
        (np.ones(size), (np.arange(size), np.full(size, anchor))), shape=(size, size)
    )
    without = sparse.eye_array(size, format="csr") - matrix
    system = sparse.csc_matrix(without @ sparse.diags_array(keep) + ones)
    system.eliminate_zeros()
    try:
        value = splu(system).solve(paid)
    except RuntimeError:  # singular to working precision
        return np.full(size, np.nan)
    value[anchor] = 0.0
    return np.asarray(value)
