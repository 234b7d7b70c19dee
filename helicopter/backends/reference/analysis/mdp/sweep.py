"""One step of dynamic programming in plain float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.backends.protocol import DecisionModel

__all__ = ["Bellman", "csr"]

#: Up to so many actions, the same in each state, a loop over actions beats `reduceat`.
FEW = 16


def csr(model: DecisionModel, data: NDArray[np.float64]) -> Any:
    """A matrix with the pattern of the model's rows."""
    n_states = len(model.pair_start) - 1
    index = np.int32 if len(data) < 2**31 else np.int64
    matrix = sparse.csr_array(
        (data, model.columns.astype(index, copy=False), model.row_start.astype(index)),
        shape=(len(model.actions), n_states),
    )
    # both are so by the contract; SciPy would find out by itself, whenever it matters
    matrix.has_sorted_indices = True
    matrix.has_canonical_format = True
    return matrix


class Bellman:
    """The operator max over actions of (reward + discount P V), and its parts.

    Attributes
    ----------
    states : int64 ndarray
        Those that are not terminal.
    matrix : sparse array of shape (L, S)
        discount P, rounded.
    """

    def __init__(self, model: DecisionModel, discount: float) -> None:
        self.discount = discount
        self.n_states = len(model.pair_start) - 1
        counts = np.diff(model.pair_start)
        self.states = np.flatnonzero(counts)
        self.starts = model.pair_start[self.states]
        self.counts = counts[self.states]
        self.has_terminal = len(self.states) < self.n_states
        self.matrix = csr(model, model.probabilities * discount)
        few = int(self.counts[0]) if len(self.counts) else 0
        self._uniform = few if 0 < few <= FEW and bool((self.counts == few).all()) else 0

    def best(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """The largest of each state that is not terminal."""
        if not self._uniform:
            return np.asarray(np.maximum.reduceat(q, self.starts)) if len(self.starts) else q
        most = q[:: self._uniform].copy()
        for action in range(1, self._uniform):
            np.maximum(most, q[action :: self._uniform], out=most)
        return most

    def first_within(
        self, q: NDArray[np.float64], best: NDArray[np.float64], slack: float
    ) -> NDArray[np.int64]:
        """Pairs, one a state that is not terminal: the first that is within `slack` of the best."""
        if not len(self.starts):
            return np.zeros(0, dtype=np.int64)
        if self._uniform:
            table = q.reshape(-1, self._uniform) >= (best - slack)[:, None]
            return np.asarray(self.starts + table.argmax(axis=1))
        fine = q >= np.repeat(best - slack, self.counts)
        number = np.where(fine, np.arange(len(q)), len(q))
        return np.asarray(np.minimum.reduceat(number, self.starts))

    def q(self, rewards: NDArray[np.float64], value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Value of each pair."""
        return np.asarray(self.matrix @ value + rewards)

    def spread(self, part: NDArray[Any], fill: float = 0.0) -> NDArray[Any]:
        """From states that are not terminal to all."""
        if not self.has_terminal:
            return part
        whole = np.full(self.n_states, fill, dtype=part.dtype)
        whole[self.states] = part
        return whole
