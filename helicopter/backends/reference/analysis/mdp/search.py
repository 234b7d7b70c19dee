"""The methods themselves, in plain float64, without any claim on how good the result is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from helicopter._shared.factorization import factorize
from helicopter._shared.interruptible import interruptible

from .certificate import UNIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .sweep import Bellman

__all__ = ["Plain"]

#: Up to so many states, a policy is evaluated with a dense matrix.
DENSE = 256
#: Steps of evaluation between two improvements of modified policy iteration, at most; fewer if the
#: change has become so much smaller, as the next improvement then does more.
SWEEPS = 20
ENOUGH = 0.1
#: Steps of value iteration between two policies where evaluating one is expensive.
AHEAD = 50
#: "auto" goes over to policy iteration when so many steps of evaluation would still be needed.
PATIENCE = 400
#: As many operations as a factorization may take; where it takes more, the sweeps go on.
AFFORDABLE = 2e11


class Plain:
    """Solves max over actions of (reward + discount P D) = D for any rewards, from D = 0 on.

    The iterations of all calls are counted together; `left` is how many more there may be.
    """

    def __init__(
        self, bellman: Bellman, limit: int | None, progress: Callable[[int, int], None] | None
    ) -> None:
        self.bellman = bellman
        self.iterations = 0
        self.limit = limit
        self.progress = progress
        # without terminal states a constant can be added to D, and what is left over is its span
        self.shiftable = not bellman.has_terminal and bellman.discount < 1.0
        self._factor: tuple[NDArray[np.int64], Any] | None = None
        self._cost: float | None = None

    @property
    def exhausted(self) -> bool:
        return self.limit is not None and self.iterations >= self.limit

    def _count(self) -> None:
        self.iterations += 1
        if self.progress is not None:
            self.progress(self.iterations, self.limit or self.iterations + 1)

    def _measure(
        self, change: NDArray[np.float64], value: NDArray[np.float64]
    ) -> tuple[float, bool]:
        """How far TD and D are apart, and whether that is no more than roundings."""
        if not len(change):
            return 0.0, True
        most, least = float(change.max()), float(change.min())
        size = 0.5 * (most - least) if self.shiftable else max(most, -least)
        return size, size <= 8.0 * UNIT * float(np.abs(value).max())

    def _shifted(
        self, value: NDArray[np.float64], change: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """TD, moved to the middle of MacQueen's bounds."""
        after = np.asarray(value + self.bellman.spread(change))
        if not self.shiftable or not len(change):
            return after
        discount = self.bellman.discount
        middle = 0.5 * (float(change.max()) + float(change.min()))
        return np.asarray(after + middle * discount / (1.0 - discount))

    # ---- value iteration

    def value_iteration(self, rewards: NDArray[np.float64], target: float) -> NDArray[np.float64]:
        """Sweep until TD and D are within `target`, or no farther apart than rounding makes them.

        Puterman 1994, section 6.3.
        """
        bellman = self.bellman
        value = np.zeros(bellman.n_states)
        while not self.exhausted:
            change = bellman.best(bellman.q(rewards, value)) - value[bellman.states]
            self._count()
            size, floor = self._measure(change, value)
            if floor or size <= target or not np.isfinite(size):
                return self._shifted(value, change)
            value[bellman.states] += change
        return value

    # ---- modified policy iteration

    def modified_policy_iteration(
        self, rewards: NDArray[np.float64], target: float, *, give_up: bool = False
    ) -> NDArray[np.float64] | None:
        """Improve the policy, evaluate it by a few sweeps, and so on.

        Puterman & Shin 1978; Puterman 1994, section 6.5. With `give_up`, None is returned if that
        is going to take more than PATIENCE sweeps.
        """
        bellman = self.bellman
        value = np.zeros(bellman.n_states)
        sizes: list[float] = []
        sweeps = [0]
        pairs: NDArray[np.int64] | None = None
        matrix: Any = None
        paid = rewards
        while not self.exhausted:
            q = bellman.q(rewards, value)
            best = bellman.best(q)
            change = best - value[bellman.states]
            self._count()
            size, floor = self._measure(change, value)
            if floor or size <= target or not np.isfinite(size):
                return self._shifted(value, change)
            chosen = bellman.first_within(q, best, 0.0)
            if pairs is None or not np.array_equal(pairs, chosen):
                pairs = chosen
                matrix = bellman.matrix[pairs]
                paid = rewards[pairs]
            if give_up and _hopeless(sizes, sweeps, size, target):
                return None
            sizes.append(size)
            value = value + bellman.spread(change)
            for _ in range(SWEEPS):
                after = bellman.spread(matrix @ value + paid)
                change = (after - value)[bellman.states]
                value = after
                sweeps[-1] += 1
                if self._measure(change, value)[0] <= ENOUGH * size:
                    break
            sweeps.append(sweeps[-1] + 1)
        return value

    # ---- policy iteration

    def policy_iteration(
        self,
        rewards: NDArray[np.float64],
        target: float,
        *,
        ahead: int = 0,
    ) -> NDArray[np.float64]:
        """Evaluate the policy exactly but for roundings, improve it, and so on.

        Howard 1960; Puterman 1994, section 6.4. An action is changed only for one that is better by
        more than roundings, and no policy is tried twice: where actions are as good as each other,
        roundings could make policies take turns. With `ahead`, some steps of
        value iteration stand between an evaluation and the next policy: news of a better action
        then comes so many states farther each time.
        """
        bellman = self.bellman
        value = np.zeros(bellman.n_states)
        if not len(bellman.starts):
            return value
        pairs = self._greedy_ahead(rewards, value, ahead)
        tried: set[int] = set()
        while not self.exhausted:
            tried.add(hash(pairs.tobytes()))
            value = self._evaluate(pairs, rewards[pairs])
            self._count()
            q = bellman.q(rewards, value)
            best = bellman.best(q)
            size = float(np.abs(value).max())
            better = best > q[pairs] + 16.0 * UNIT * (size + np.abs(best))
            if not better.any() or not np.isfinite(size):
                break
            chosen = bellman.first_within(q, best, 0.0)
            improved = np.where(better, chosen, pairs)
            if ahead:
                farther = self._greedy_ahead(rewards, value, ahead)
                if not np.array_equal(farther, pairs):
                    improved = farther
            pairs = improved
            if hash(pairs.tobytes()) in tried:
                break
        return value

    def _greedy_ahead(
        self, rewards: NDArray[np.float64], value: NDArray[np.float64], ahead: int
    ) -> NDArray[np.int64]:
        """The best actions, after some steps of value iteration."""
        bellman = self.bellman
        for _ in range(ahead):
            after = bellman.spread(bellman.best(bellman.q(rewards, value)))
            if self._measure((after - value)[bellman.states], value)[1]:
                break
            value = after
        q = bellman.q(rewards, value)
        return bellman.first_within(q, bellman.best(q), 0.0)

    def _evaluate(self, pairs: NDArray[np.int64], paid: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solve (I - discount P) D = reward for one policy."""
        bellman = self.bellman
        if self._factor is None or not np.array_equal(self._factor[0], pairs):
            matrix = bellman.matrix[pairs]
            if bellman.has_terminal:
                matrix = matrix[:, bellman.states]
            self._factor = (pairs, _factorized(matrix))
        return np.asarray(bellman.spread(self._factor[1](paid)))

    # ---- the choice

    def auto(self, rewards: NDArray[np.float64], target: float) -> tuple[NDArray[np.float64], str]:
        """Sweeps while they are quick, else policy iteration; also say which."""
        if len(self.bellman.states) <= DENSE:
            return self.policy_iteration(rewards, target), "policy_iteration"
        if self._factor is None:
            value = self.modified_policy_iteration(rewards, target, give_up=True)
            if value is not None:
                return value, "modified_policy_iteration"
            if self._elimination() > AFFORDABLE:
                value = self.modified_policy_iteration(rewards, target)
                return np.asarray(value), "modified_policy_iteration"
        return self.policy_iteration(rewards, target, ahead=AHEAD), "policy_iteration"

    def _elimination(self) -> float:
        """Operations that a factorization takes at most, by the bandwidth of the whole model."""
        if self._cost is None:
            bellman = self.bellman
            matrix = bellman.matrix[bellman.starts]
            if bellman.has_terminal:
                matrix = matrix[:, bellman.states]
            order = csgraph.reverse_cuthill_mckee(sparse.csr_matrix(matrix))
            place = np.empty(len(order), dtype=np.int64)
            place[order] = np.arange(len(order))
            row_of = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
            distance = np.abs(place[row_of] - place[matrix.indices])
            # most rows are narrow where only a few are wide: these cost as much as they have to
            self._cost = (
                float(len(order)) * float(np.sort(distance)[int(0.99 * len(distance))]) ** 2
            )
        return self._cost


def _hopeless(sizes: list[float], sweeps: list[int], size: float, target: float) -> bool:
    """Whether sweeps, going on as they did of late, take too many to get to the target."""
    back = 4
    if len(sizes) < back:
        return False
    rate = size / sizes[-back]
    steps = sweeps[-1] - sweeps[-1 - back]
    return not rate < 1.0 or float(np.log(target / size) / np.log(rate)) * steps > PATIENCE


def _factorized(matrix: Any) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Solver of (I - matrix) x = b."""
    from scipy.linalg import lu_factor, lu_solve

    size = matrix.shape[0]
    if size <= DENSE:
        dense = np.eye(size) - matrix.toarray()
        factors = lu_factor(dense, overwrite_a=True, check_finite=False)
        return lambda b: np.asarray(lu_solve(factors, b, check_finite=False))
    system = sparse.csc_matrix(sparse.eye_array(size, format="csr") - matrix)
    return interruptible(lambda: factorize(system)).solve
