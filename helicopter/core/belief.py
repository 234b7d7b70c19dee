"""Beliefs: probability distributions over the states of a model that cannot be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter.errors import InvalidOptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_belief", "successor"]

#: How far from one the entries of a belief may add up.
TOLERANCE = 1e-9


def check_belief(belief: object, n_states: int) -> NDArray[np.float64]:
    """Return `belief` as a new float64 array that adds up to one but for the last digit.

    Parameters
    ----------
    belief : array_like of shape (S,), or None
        None: all states are equally probable.
    n_states : int
    """
    if belief is None:
        return np.full(n_states, 1.0 / n_states)
    try:
        array: NDArray[Any] = np.array(belief, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidOptionError(
            f"belief: got {type(belief).__name__}; expected {n_states} probabilities."
        ) from None
    if array.shape != (n_states,):
        raise InvalidOptionError(
            f"belief: got shape {array.shape}; expected ({n_states},), a probability of each state."
        )
    if not (array >= 0.0).all():
        state = int(np.argmax(~(array >= 0.0)))
        raise InvalidOptionError(
            f"belief: the probability of state {state} is {float(array[state])!r}; expected a "
            "number from 0 to 1."
        )
    total = float(array.sum())
    if not abs(total - 1.0) <= TOLERANCE:
        raise InvalidOptionError(
            f"belief: the probabilities add up to {total!r}; expected 1 within {TOLERANCE:g}."
        )
    return array / total


def successor(
    joint: NDArray[np.float64], belief: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return the belief after an observation by Bayes' rule, and how probable that was.

    Parameters
    ----------
    joint : float64 ndarray of shape (S, S)
        Probability of next state and observation together, for each state.
    belief : float64 ndarray of shape (S,)
    """
    weight = belief @ joint
    total = float(weight.sum())
    return (weight / total if total > 0.0 else weight), total
