"""What `TransitionPosterior` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from helicopter._shared.result import Result

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TransitionIntervals", "ValueIntervals"]


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
