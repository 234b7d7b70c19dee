"""An upper bound of the value of a partially observed model.

The optimal value is convex, and stays so for measures, which are beliefs times a factor. A
successor that is written as a sum of known points with factors that are not negative is worth at
most the same sum of their values. So the known points with these factors as probabilities are a
Markov decision process, the value of which is an upper bound (Hauskrecht, Value-function
approximations for partially observable Markov decision processes, 2000). Sums of the corners and of
one other point are used, as in HSVI's sawtooth (Smith and Simmons 2004); which point that is, is
chosen anew from the values until nothing improves. New beliefs are those that an optimal policy may
come to, as in SARSOP (Kurniawati, Hsu and Lee 2008), where they matter most to the bound at the
start.

The model is solved by the backend between proven bounds. What is rounded before, in the factors and
the products, is in `KnownBeliefs.allowance`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .pomdp_beliefs import solve_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.backends.protocol import Backend, MdpRun

    from .pomdp_beliefs import KnownBeliefs
    from .pomdp_lower import LowerBound

__all__ = ["UpperBound"]


class UpperBound:
    """The value of the Markov decision process over the known beliefs.

    Attributes
    ----------
    values : float64 ndarray of shape (N,)
        Bounds of that model's values; `allowance` is still to be added.
    best : int64 ndarray of shape (N,)
        The best action at each point.
    """

    def __init__(self, known: KnownBeliefs, backend: Backend) -> None:
        self._known = known
        self._backend = backend
        self.values = np.zeros(0)
        self.best = np.zeros(0, dtype=np.int64)
        # what the last model said, and of which points that is less than what the others say
        self._solved = np.zeros(0)
        self._active = np.zeros(0, dtype=bool)

    def at(self, measures: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bound the values of measures of shape (..., S), given their factors (..., N - S)."""
        # not from `values`: a bound that was taken from a bound, and so on, would gather roundings
        corners = self._solved[: measures.shape[-1]]
        flat = measures @ corners
        if share.shape[-1] == 0:
            return flat
        return np.asarray(flat + np.minimum((share * self._dip(self._solved)).min(-1), 0.0))

    def _dip(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far below the plane through the corners each other point lies."""
        n_states = self._known.points.shape[1]
        inner = self._known.points[n_states : len(values)]
        return values[n_states:] - inner @ values[:n_states]

    def improve(self, epsilon: float, tolerance: float) -> None:
        """Solve, choose the points anew from the values, and so on until little is gained.

        Parameters
        ----------
        epsilon : float
            Width of the bounds of each solve.
        tolerance : float
            What counts as little.
        """
        known = self._known
        if not len(self.values):
            most = float(known.model.rewards.max()) / (1.0 - known.discount)
            self.values = self._solved = np.full(len(known), most)
        before = len(self.values)
        if before < len(known):
            others = known.own[before:, : before - known.points.shape[1]]
            self.values = np.concatenate([self.values, self.at(known.points[before:], others)])
        self._active = np.append(self._active, np.ones(len(known) - len(self._active), dtype=bool))
        chosen: NDArray[np.int64] | None = None
        for _ in range(30):
            point, share = self._choose()
            if chosen is not None and np.array_equal(point, chosen):
                break
            chosen = point
            run = self._solve(point, share, epsilon)
            self.best, self._solved = run.policy, run.upper
            gained = float((self.values - run.upper).max())
            spread = self.at(known.points, known.own)
            self._active = run.upper <= spread
            self.values = np.minimum(np.minimum(self.values, run.upper), spread)
            if gained <= tolerance:
                break

    def _choose(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the point for each successor that bounds it best, and its factor."""
        known = self._known
        if known.share.shape[3] == 0:
            return np.zeros(known.chance.shape, dtype=np.int64), np.zeros(known.chance.shape)
        n_states = known.points.shape[1]
        # a point that is held down by others only would hide on which it depends
        dip = np.where(self._active[n_states:], self._dip(self.values), 0.0)
        point = (known.share * dip).argmin(axis=3)
        flat = known.share.reshape(point.size, -1)
        return point, flat[np.arange(point.size), point.ravel()].reshape(point.shape)

    def _solve(
        self, point: NDArray[np.int64], share: NDArray[np.float64], epsilon: float
    ) -> MdpRun:
        known = self._known
        count, n_states = known.points.shape
        n_actions, n_seen = share.shape[1:]
        rest = known.after.sum(axis=2)
        if known.share.shape[3]:
            # what the point leaves over; below zero by rounding only
            rest -= (share[..., None] * known.inner[point]).sum(axis=2)
            np.maximum(rest, 0.0, out=rest)
        columns = np.empty((count, n_actions, n_states + n_seen), dtype=np.int64)
        columns[..., :n_states] = np.arange(n_states)
        columns[..., n_states:] = point + n_states if known.share.shape[3] else 0
        chances = np.concatenate([rest, share], axis=2)
        # the corners add up to less than a rounding where a point takes it all
        chances /= chances.sum(axis=2, keepdims=True)
        pairs = count * n_actions
        return solve_rows(
            self._backend,
            known.discount,
            epsilon,
            count,
            np.repeat(np.arange(count), n_actions),
            np.tile(np.arange(n_actions), count),
            np.arange(pairs + 1) * (n_states + n_seen),
            columns.ravel(),
            chances.ravel(),
            known.rewards.ravel(),
        )

    def frontier(
        self, start: int, lower: LowerBound, node: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return successors that are no known points, and what each may add to the gap at `start`.

        Parameters
        ----------
        start : int
            A point.
        lower : LowerBound
        node : int64 ndarray of shape (N, O)
            See `KnownBeliefs.node_of`, for the best actions.

        Returns
        -------
        beliefs : float64 ndarray of shape (K, S)
        slack : float64 ndarray of shape (K,)
            How far the bounds are apart there, times the discounted frequency with which the upper
            bound at `start` comes back to it (without the factor where that would leave nothing).
        """
        known = self._known
        count, n_states = known.points.shape
        rows = np.arange(count)
        after, chance = known.after[rows, self.best], known.chance[rows, self.best]
        point, share = self._choose()
        point, share = point[rows, self.best], share[rows, self.best]
        move = np.zeros((count, count))
        rest = after.sum(axis=1)
        if known.share.shape[3]:
            rest -= (share[..., None] * known.inner[point]).sum(axis=1)
            np.add.at(
                move, (np.repeat(rows, len(share[0])), (point + n_states).ravel()), share.ravel()
            )
        move[:, :n_states] += rest
        weight = _visits(move, known.discount, start)
        # and how often it is come to in truth, which a point that is held down by others needs
        move = np.zeros((count, count))
        at, seen = np.nonzero(node >= 0)
        np.add.at(move, (at, node[at, seen]), chance[at, seen])
        weight += _visits(move, known.discount, start)
        at, seen = np.nonzero((node < 0) & (chance > 0.0))
        measures = after[at, seen]
        slack = self.at(measures, known.share[at, self.best[at], seen]) - lower.at(measures)
        beliefs = measures / chance[at, seen][:, None]
        if (weight[at] * slack).max(initial=0.0) > 0.0:
            return beliefs, weight[at] * slack
        return beliefs, slack


def _visits(move: NDArray[np.float64], discount: float, start: int) -> NDArray[np.float64]:
    """How often each point is come to from `start`, discounted."""
    unit = np.zeros(len(move))
    unit[start] = 1.0
    return np.asarray(np.linalg.solve(np.eye(len(move)) - discount * move.T, unit), np.float64)
