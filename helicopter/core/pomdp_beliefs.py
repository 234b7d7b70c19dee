"""The beliefs at which bounds of a partially observed model are held, a set that grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter.errors import InternalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.backends.protocol import Backend, MdpRun

    from .pomdp_model import HiddenModel

__all__ = ["KnownBeliefs", "solve_rows"]

UNIT = float(np.finfo(np.float64).eps)
#: A successor of which all but this share is a known point is taken for it when points are chosen;
#: the bounds themselves do not rely on it.
SAME = 1e-12


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
        # a point that is zero wherever the measure is not says nothing either
        return np.where(share < np.inf, share, 0.0)

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


def solve_rows(
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
    """Solve the model with these pairs (state, action) and their transitions."""
    model = backend.compress_rows(n_states, states, actions, row_start, columns, chances, rewards)
    if model is None:
        raise InternalError("a model over beliefs is not valid; please report it.")
    return backend.solve_mdp(model, discount, "auto", epsilon, None, None)
