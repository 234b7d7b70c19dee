"""What `MDP.solve` and `TransitionPosterior` return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from helicopter._shared.result import Result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.backends.protocol import DecisionModel

__all__ = [
    "MDPSolution",
    "TransitionIntervals",
    "ValueIntervals",
]

Criterion = Literal["discounted", "total", "finite_horizon"]


def as_arrays(model: DecisionModel) -> DecisionModel:
    """A model as it can be pickled; a backend may hold it in a form of its own."""
    from helicopter.backends.protocol import DecisionModel

    return DecisionModel(*(getattr(model, name) for name in DecisionModel._fields))


@dataclass(frozen=True, eq=False, repr=False)
class MDPSolution(Result):
    """The value of a Markov decision process, enclosed, and a policy that earns it.

    Attributes
    ----------
    value : float64 ndarray of shape (S,)
        Of a finite horizon H, of shape (H + 1, S): row t is the value with H - t steps to go.
    lower, upper : float64 ndarray, shaped like `value`
        The optimal value of the model, taken as its float64 numbers state it, lies between these
        two; all roundings are accounted for. `policy` earns at least `lower`.
    policy : int64 ndarray of shape (S,), or (H, S) for a finite horizon
        Numbers of actions; -1 in terminal states.
    width : float
        The largest `upper` - `lower`.
    iterations : int
        Of the method: sweeps of value iteration, policies of policy iteration.
    method : str
        What was used.
    criterion : str
        ``"discounted"``, ``"total"`` (no discount, and every policy ends) or
        ``"finite_horizon"``.
    epsilon : float
        The width that was asked for.
    backend, device : str
    seconds : float
        Wall-clock time.
    """

    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    policy: NDArray[np.int64]
    width: float
    iterations: int
    method: str
    criterion: Criterion
    epsilon: float
    backend: str
    device: str
    seconds: float
    _model: DecisionModel
    _discount: float
    _n_actions: int

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": as_arrays(self._model)}

    @property
    def q(self) -> NDArray[np.float64]:
        """Value of taking each action first, of shape (S, A); minus infinity where there is none.

        Of a finite horizon, of shape (H, S, A). Computed anew whenever it is asked for.
        """
        from helicopter.backends._engine import backend_of

        backend, model = backend_of(self.backend), self._model
        states = np.repeat(np.arange(len(model.pair_start) - 1), np.diff(model.pair_start))

        def table(value: NDArray[np.float64]) -> NDArray[np.float64]:
            spread = np.full((len(value), self._n_actions), -np.inf)
            spread[states, model.actions] = backend.q_values(model, self._discount, value)
            return spread

        if self.criterion == "finite_horizon":
            shape = (len(self.policy), self.value.shape[1], self._n_actions)
            tables = [table(value) for value in self.value[1:]]
            return np.stack(tables) if tables else np.empty(shape)
        return table(self.value)


@dataclass(frozen=True, eq=False, repr=False)
class TransitionIntervals(Result):
    """Credible intervals of transition probabilities.

    Where the prior is a number or an array all arrays have the shape (S, A, S); where it is sparse
    they have the shape (N,), an entry for each transition that can be.

    Attributes
    ----------
    mean, lower, upper : float64 ndarray
        Of the posterior, which for one transition by itself is a Beta distribution. The interval
        is central: as much probability lies below it as above.
    states, actions, next_states : int64 ndarray
        Numbers.
    level : float
        Probability of the interval.
    """

    mean: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    states: NDArray[np.int64]
    actions: NDArray[np.int64]
    next_states: NDArray[np.int64]
    level: float


@dataclass(frozen=True, eq=False, repr=False)
class ValueIntervals(Result):
    """What is known of a model's value when its transitions are known from episodes only.

    The intervals are central quantiles over models drawn from the posterior.

    Attributes
    ----------
    mean, lower, upper : float64 ndarray of shape (S,)
        Of the optimal value: what could be earned by who knew the transitions.
    policy : int64 ndarray of shape (S,)
        The policy judged; -1 in terminal states.
    policy_mean, policy_lower, policy_upper : float64 ndarray of shape (S,)
        Of what it earns.
    level : float
        Probability of the intervals.
    discount : float
    n_samples : int
    seed : int
    backend, device : str
    seconds : float
        Wall-clock time.
    """

    mean: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    policy: NDArray[np.int64]
    policy_mean: NDArray[np.float64]
    policy_lower: NDArray[np.float64]
    policy_upper: NDArray[np.float64]
    level: float
    discount: float
    n_samples: int
    seed: int
    backend: str
    device: str
    seconds: float
