"""A lower bound of the value of a partially observed model.

What a finite-state controller earns from each state on is a vector for each of its nodes: the value
of a model with one action a state, enclosed by the backend. Controllers are improved as in Hansen,
Solving POMDPs by searching in policy space (1998), but at known beliefs only, as in point-based
policy iteration (Ji et al. 2007): of each belief the best node is kept, and one step in front of
these nodes cannot be worse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .pomdp_beliefs import solve_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.backends.protocol import Backend

    from .pomdp_beliefs import KnownBeliefs

__all__ = ["LowerBound"]

#: Policies tried each time that beliefs were added, after the first.
MOST_POLICIES = 3


class LowerBound:
    """What finite-state controllers earn.

    A node does something and goes on to another node by what is seen then; its vector is what it
    earns from each state on, less what was rounded.

    Attributes
    ----------
    vectors : float64 ndarray of shape (M, S)
    actions : int64 ndarray of shape (M,)
    following : int64 ndarray of shape (M, O)
        The nodes, all that were ever made and are still of use. `allowance` is still to be taken
        off the vectors.
    best : int64 ndarray of shape (N,)
        The node that earns most at each known belief.
    """

    def __init__(self, known: KnownBeliefs, backend: Backend) -> None:
        self._known = known
        self._backend = backend
        n_seen, n_states = known.model.joint.shape[1:3]
        self.vectors = np.zeros((0, n_states))
        self.actions = np.zeros(0, dtype=np.int64)
        self.following = np.zeros((0, n_seen), dtype=np.int64)
        self.best = np.zeros(0, dtype=np.int64)

    def value(self, point: int) -> float:
        """Bound the value at a known belief, without the allowance."""
        return float(self.vectors[self.best[point]] @ self._known.points[point])

    def at(self, measures: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bound the values of measures of shape (..., S), without the allowance."""
        return np.asarray((measures @ self._pool().T).max(axis=-1))

    def improve(
        self,
        acts: NDArray[np.int64],
        start: int,
        epsilon: float,
        tolerance: float,
        enough: float,
    ) -> None:
        """Try the controller that acts as the upper bound does, then improve policies.

        Parameters
        ----------
        acts : int64 ndarray of shape (N,)
            The actions of the upper bound.
        start : int
            The point that counts.
        epsilon : float
            Width of the bounds of each solve.
        tolerance : float
            A gain so small is not worth another policy.
        enough : float
            A value at the start that needs no improvement.
        """
        known = self._known
        if not len(self.vectors):
            # to do the same for ever, whatever is seen
            always = np.arange(known.rewards.shape[1])
            self._run(always, np.repeat(always[:, None], known.chance.shape[2], 1), epsilon)
        self.best = (known.points @ self.vectors.T).argmax(axis=1)
        follows = known.node_of(acts)
        self._run(acts, np.where(follows >= 0, follows, self._next(acts)), epsilon)
        for _ in range(MOST_POLICIES):
            before = self.value(start)
            if before >= enough:
                break
            acts = self._gains().argmax(axis=1)
            node = self._next(acts)
            # one more step in front of what there is: that cannot be worse at any point
            self._take_in(self._step(acts, self.best[node]), acts, self.best[node])
            # and for ever
            self._run(acts, node, epsilon)
            if self.value(start) - before <= tolerance:
                break
        if len(self.vectors) > 4 * len(known) + 1000:
            self.clear()

    def clear(self) -> None:
        """Forget the nodes that no best one ever comes to."""
        used = np.zeros(len(self.vectors), dtype=bool)
        reached = self.best
        while len(reached):
            new = np.zeros_like(used)
            new[reached] = True
            new &= ~used
            used |= new
            reached = self.following[new].ravel()
        number = np.cumsum(used) - 1
        self.vectors, self.actions = self.vectors[used], self.actions[used]
        self.following, self.best = number[self.following[used]], number[self.best]

    def _pool(self) -> NDArray[np.float64]:
        return self.vectors[self.best]

    def _gains(self) -> NDArray[np.float64]:
        """Value of every action at every point, if the vectors are earned afterwards."""
        known = self._known
        gains = known.rewards.copy()
        for action in range(gains.shape[1]):  # one at a time: the products are large
            later = self.at(known.after[:, action]).sum(axis=1)
            gains[:, action] += known.discount * later
        return gains

    def _next(self, acts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the point whose node is the best one after each observation; shape (N, O)."""
        known = self._known
        after = known.after[np.arange(len(known)), acts]
        return np.asarray((after @ self._pool().T).argmax(axis=2))

    def _step(self, acts: NDArray[np.int64], node: NDArray[np.int64]) -> NDArray[np.float64]:
        """What is earned by one action and the given nodes afterwards."""
        known = self._known
        later = self.vectors[node][..., None]
        joint = known.model.joint[acts]
        earned = known.model.rewards[:, acts].T
        return np.asarray(earned + known.discount * (joint @ later).sum(axis=(1, 3)))

    def _run(self, acts: NDArray[np.int64], node: NDArray[np.int64], epsilon: float) -> None:
        """Find what a controller earns whose nodes go on to each other, and keep it."""
        known = self._known
        count = len(acts)
        n_seen, n_states = known.model.joint.shape[1:3]
        # from (node, state) to (next node, next state), by observation
        chances = known.model.joint[acts].transpose(0, 2, 1, 3)
        columns = node[:, None, :, None] * n_states + np.arange(n_states)
        run = solve_rows(
            self._backend,
            known.discount,
            epsilon,
            count * n_states,
            np.arange(count * n_states),
            np.zeros(count * n_states, dtype=np.int64),
            np.arange(count * n_states + 1) * (n_seen * n_states),
            np.broadcast_to(columns, chances.shape).ravel(),
            chances.ravel(),
            known.model.rewards[:, acts].T.ravel(),
        )
        self._take_in(run.lower.reshape(count, n_states), acts, node + len(self.vectors))

    def _take_in(
        self, vectors: NDArray[np.float64], acts: NDArray[np.int64], node: NDArray[np.int64]
    ) -> None:
        """Add nodes, and take at each point the best of its own and of these."""
        points = self._known.points
        before = len(self.vectors)
        self.vectors = np.concatenate([self.vectors, vectors])
        self.actions = np.concatenate([self.actions, acts])
        self.following = np.concatenate([self.following, node])
        if len(self.best):
            worth = points @ vectors.T
            new = worth.argmax(axis=1)
            better = worth.max(axis=1) > (points * self._pool()).sum(axis=1)
            self.best = np.where(better, new + before, self.best)
