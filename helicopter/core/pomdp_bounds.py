"""Bounds on the value of a partially observed model, held at a set of beliefs that grows.

Above: the optimal value is convex, and stays so for measures, which are beliefs times a factor. A
successor that is written as a sum of known points with factors that are not negative is worth at
most the same sum of their values. So the known points with these factors as probabilities are a
Markov decision process, the value of which is an upper bound (Hauskrecht, Value-function
approximations for partially observable Markov decision processes, 2000). Sums of the corners and of
one other point are used, as in HSVI's sawtooth (Smith and Simmons 2004); which point that is, is
chosen anew from the values until nothing improves.

Below: each known belief is a node of a finite-state controller (Hansen, Solving POMDPs by searching
in policy space, 1998). What it earns from each state on is its vector; a model with one action a
state, evaluated exactly.

Both models are solved by the backend between proven bounds. What is rounded here before, in the
factors and the products, adds `rounding` of the largest numbers that take part to each step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter.errors import InternalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.backends.protocol import Backend, MdpRun

    from .pomdp_model import HiddenModel

__all__ = ["KnownBeliefs", "LowerBound", "UpperBound"]

UNIT = float(np.finfo(np.float64).eps)
#: A successor of which all but this share is a known point is taken for it when points are chosen;
#: the bounds themselves do not rely on it.
SAME = 1e-12
#: Policies tried for the lower bound each time that beliefs were added, after the first.
MOST_POLICIES = 3


class KnownBeliefs:
    """The beliefs at which bounds are held, the corners first, and what can follow them.

    Attributes
    ----------
    points : float64 ndarray of shape (N, S)
        Taken as exactly these numbers, whatever they add up to.
    after : float64 ndarray of shape (N, A, O, S)
        Measures: next belief times the probability of the observation.
    chance : float64 ndarray of shape (N, A, O)
        That probability.
    rewards : float64 ndarray of shape (N, A)
    share : float64 ndarray of shape (N, A, O, N - S)
        The largest factor of each point but the corners that fits into a successor.
    own : float64 ndarray of shape (N, N - S)
        The same for the points, zero for a point and itself.
    """

    def __init__(self, model: HiddenModel, discount: float) -> None:
        n_actions, n_seen, n_states, _ = model.joint.shape
        self.model = model
        self.discount = discount
        # (S, A * O * S): one product for all
        self._joint = model.joint.transpose(2, 0, 1, 3).reshape(n_states, -1)
        self._shape = (n_actions, n_seen, n_states)
        #: relative error of what is computed from exact points, and of sums over it, with room
        self.rounding = (4 * n_states + 2 * n_seen + 16) * UNIT
        self.points = np.zeros((0, n_states))
        self.after = np.zeros((0, *self._shape))
        self.chance = np.zeros((0, n_actions, n_seen))
        self.rewards = np.zeros((0, n_actions))
        self.share = np.zeros((0, n_actions, n_seen, 0))
        self.own = np.zeros((0, 0))
        self.add(np.eye(n_states))

    def __len__(self) -> int:
        return len(self.points)

    @property
    def inner(self) -> NDArray[np.float64]:
        """The points that are no corners."""
        return self.points[self.points.shape[1] :]

    def add(self, points: NDArray[np.float64]) -> None:
        """Take in points and find out what follows them."""
        after = (points @ self._joint).reshape(-1, *self._shape)
        before = len(self.points)
        self.points = np.concatenate([self.points, points])
        self.rewards = np.concatenate([self.rewards, points @ self.model.rewards])
        self.chance = np.concatenate([self.chance, after.sum(axis=3)])
        if before:
            share = np.concatenate([self.share, self._shares(self.after, points)], axis=3)
            self.share = np.concatenate([share, self._shares(after, self.inner)])
            self.own = self._shares(self.points, self.inner)
            inner = np.arange(len(self.inner))
            self.own[inner + self._shape[2], inner] = 0.0
        else:
            self.share = np.zeros((len(points), *self._shape[:2], 0))
            self.own = np.zeros((len(points), 0))
        self.after = np.concatenate([self.after, after])

    def _shares(
        self, measures: NDArray[np.float64], points: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the largest factors of `points` that leave no entry of `measures` below zero."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            inverse = 1.0 / points
            share = measures[..., 0, None] * inverse[:, 0]
            for state in range(1, points.shape[1]):
                # zero over zero says nothing, and fmin passes over it
                np.fmin(share, measures[..., state, None] * inverse[:, state], out=share)
        # rounded down, so that nothing exact falls below zero either
        share *= 1.0 - self.rounding
        return np.nan_to_num(share, copy=False, nan=0.0, posinf=0.0)

    def node_of(self, action: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which point each successor under these actions is, -1 if none; shape (N, O)."""
        rows = np.arange(len(self))
        chance = self.chance[rows, action] * (1.0 - SAME)
        after = self.after[rows, action]
        corner = after.argmax(axis=2)
        node = np.where(after.max(axis=2) >= chance, corner, -1)
        if self.share.shape[3]:
            share = self.share[rows, action]
            inner = share.argmax(axis=2) + self.points.shape[1]
            node = np.where((node < 0) & (share.max(axis=2) >= chance), inner, node)
        return node

    def allowance(self, values: NDArray[np.float64]) -> float:
        """Bound what rounding adds to all steps together, if the values are as large as these."""
        size = float(np.abs(self.model.rewards).max()) + 3.0 * float(np.abs(values).max())
        # two more steps: a point may be held down by others, and has been from the start
        return float(self.rounding * size * (1.0 / (1.0 - self.discount) + 2.0))


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
        return point, np.take_along_axis(known.share, point[..., None], 3)[..., 0]

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
        return _solve_rows(
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
        run = _solve_rows(
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


def _visits(move: NDArray[np.float64], discount: float, start: int) -> NDArray[np.float64]:
    """How often each point is come to from `start`, discounted."""
    unit = np.zeros(len(move))
    unit[start] = 1.0
    return np.asarray(np.linalg.solve(np.eye(len(move)) - discount * move.T, unit), np.float64)


def _solve_rows(
    backend: Backend,
    discount: float,
    epsilon: float,
    n_states: int,
    states: NDArray[np.int64],
    actions: NDArray[np.int64],
    row_start: NDArray[np.int64],
    columns: NDArray[np.int64],
    chances: NDArray[np.float64],
    rewards: NDArray[np.float64],
) -> MdpRun:
    model = backend.compress_rows(n_states, states, actions, row_start, columns, chances, rewards)
    if model is None:
        raise InternalError("a model over beliefs is not valid; please report it.")
    return backend.solve_mdp(model, discount, "auto", epsilon, None, None)
