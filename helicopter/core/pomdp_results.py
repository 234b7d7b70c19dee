"""What `POMDP.solve` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helicopter._shared.result import Result

from .belief import check_belief

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["POMDPSolution"]


@dataclass(frozen=True, eq=False, repr=False)
class POMDPSolution(Result):
    """The value of a partially observed model at one belief, enclosed, and a policy that earns it.

    Attributes
    ----------
    value : float
        The middle of the bounds.
    lower, upper : float
        The optimal value at `belief` lies between these two; all roundings are accounted for.
        `policy` earns at least `lower`.
    width : float
        `upper` - `lower`.
    belief : float64 ndarray of shape (S,)
        Where it was solved.
    vectors : float64 ndarray of shape (N, S)
        What the nodes of a finite-state controller earn, at least, from each state on. Their
        maximum is a lower bound of the optimal value at every belief.
    vector_actions : int64 ndarray of shape (N,)
        What each node does.
    next_vectors : int64 ndarray of shape (N, O)
        Node after each observation.
    points : float64 ndarray of shape (M, S)
        The beliefs that were used; the first S are the certain ones.
    point_upper : float64 ndarray of shape (M,)
        An upper bound of the optimal value at each of them.
    iterations : int
        Times that beliefs were added, and one.
    epsilon : float
        The width that was asked for.
    backend, device : str
    seconds : float
        Wall-clock time.
    """

    value: float
    lower: float
    upper: float
    width: float
    belief: NDArray[np.float64]
    vectors: NDArray[np.float64]
    vector_actions: NDArray[np.int64]
    next_vectors: NDArray[np.int64]
    points: NDArray[np.float64]
    point_upper: NDArray[np.float64]
    iterations: int
    epsilon: float
    backend: str
    device: str
    seconds: float
    _rounding: float

    def policy(self, belief: object = None) -> int:
        """Return the number of the action to take.

        Parameters
        ----------
        belief : array_like of shape (S,), optional
            None: the one that was solved for.
        """
        at = self.belief if belief is None else check_belief(belief, len(self.belief))
        return int(self.vector_actions[int((self.vectors @ at).argmax())])

    def bounds(self, belief: object = None) -> tuple[float, float]:
        """Enclose the optimal value at any belief; farther from `belief` less closely.

        Parameters
        ----------
        belief : array_like of shape (S,), optional
            None: the one that was solved for.

        Returns
        -------
        lower, upper : float
        """
        if belief is None:
            return self.lower, self.upper
        n_states = len(self.belief)
        at = check_belief(belief, n_states)
        upper = float(at @ self.point_upper[:n_states])
        inner = self.points[n_states:]
        if len(inner):
            with np.errstate(divide="ignore", invalid="ignore"):
                share = np.nanmin(np.where(inner > 0.0, at / inner, np.inf), axis=1)
            dip = self.point_upper[n_states:] - inner @ self.point_upper[:n_states]
            upper += min(float((share * dip).min()), 0.0)
        return float((self.vectors @ at).max()) - self._rounding, upper + self._rounding
