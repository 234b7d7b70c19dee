"""Reads what `TransitionPosterior` is given: priors, episodes, rewards, policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._messages import shown
from helicopter.errors import InvalidModelError, InvalidOptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._labels import Labels

__all__ = [
    "read_indices",
    "read_label",
    "read_policy",
    "read_prior",
    "read_reward",
    "read_rewards",
    "read_steps",
]

STEP = "expected (state, action, reward, next state)"


def read_prior(
    prior: Any, states: Labels, actions: Labels
) -> tuple[bool, NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return whether the prior is sparse, and its entries: pair s * A + a, next state, weight."""
    shape = (states.count, actions.count, states.count)
    accepted = (
        f"a number above 0, an array of shape {shape}, a sparse matrix of shape "
        f"{(shape[0] * shape[1], shape[0])} or {shape[1]} of shape {(shape[0],) * 2}"
    )
    whole = _stacked(prior, shape[1])
    sparse = whole is not None
    if whole is not None:
        if whole.shape != (shape[0] * shape[1], shape[0]):
            raise InvalidModelError(f"prior: got shape {whole.shape}; expected {accepted}.")
        whole = whole.tocsr().copy()  # duplicates are added up in place
        whole.sum_duplicates()
        pairs = np.repeat(np.arange(whole.shape[0]), np.diff(whole.indptr))
        columns, weights = whole.indices.astype(np.int64), whole.data.astype(np.float64)
    else:
        try:
            table = np.asarray(prior, dtype=np.float64)
        except (TypeError, ValueError):
            table = np.empty((0, 0))
        if table.ndim == 0 and table > 0:
            table = np.broadcast_to(table, shape)
        if table.shape != shape:
            given = repr(prior) if table.ndim == 0 else f"shape {table.shape}"
            raise InvalidModelError(f"prior: got {given}; expected {accepted}.")
        table = table.reshape(shape[0] * shape[1], shape[0])
        pairs, columns = np.nonzero(table)
        weights = table[pairs, columns]
    wrong = ~((weights >= 0.0) & (weights < np.inf))
    if wrong.any():
        at = int(np.argmax(wrong))
        state, action = divmod(int(pairs[at]), shape[1])
        raise InvalidModelError(
            f"prior: {states.say(state)}, {actions.say(action)} to "
            f"{states.say(int(columns[at]))}: got {float(weights[at])!r}; expected a "
            "finite number that is not below 0."
        )
    some = weights > 0.0
    if not some.any():
        raise InvalidModelError("prior: got no weight at all; expected some above 0.")
    return sparse, pairs[some], columns[some], weights[some]


def read_rewards(rewards: object, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return expected rewards by pair."""
    try:
        table = np.array(rewards, dtype=np.float64)
    except (TypeError, ValueError):
        table = np.empty(0)
    if table.shape == shape[:1]:
        table = np.repeat(table[:, None], shape[1], axis=1)
    if table.shape != shape or not np.isfinite(table).all():
        raise InvalidModelError(
            f"rewards: got shape {table.shape}; expected finite numbers of shape {shape} or "
            f"{shape[:1]}."
        )
    return table.ravel()


def read_policy(policy: object, there: NDArray[np.bool_], states: Labels) -> NDArray[np.int64]:
    """Return the actions of a policy, which has to take what is there, of shape (S, A)."""
    judged = read_indices(policy, "policy", there.shape[0], there.shape[1], least=-1)
    right = np.where(judged < 0, ~there.any(axis=1), there[np.arange(len(there)), judged])
    if not right.all():
        state = int(np.argmax(~right))
        raise InvalidOptionError(
            f"policy: {states.say(state)}: got action {int(judged[state])}; expected one "
            "that is available there, -1 in terminal states only."
        )
    return judged


def read_steps(episodes: Any) -> list[Any]:
    """Return the steps of all episodes."""
    if isinstance(episodes, np.ndarray) and episodes.ndim == 2 and episodes.shape[1] == 4:
        return list(episodes)
    try:
        items = list(episodes)
    except TypeError:
        raise InvalidOptionError(
            f"episodes: got {type(episodes).__name__}; {STEP}, or sequences of these."
        ) from None
    steps: list[Any] = []
    for item in items:
        if _is_step(item):
            steps.append(item)
            continue
        within = list(item) if hasattr(item, "__iter__") and not isinstance(item, str) else None
        if within is None or not all(map(_is_step, within)):
            raise InvalidOptionError(
                f"episodes: step {len(steps)}: got {shown(item)}; {STEP}, or a sequence of these."
            )
        steps.extend(within)
    return steps


def _is_step(item: Any) -> bool:
    """Tell a step from an episode: its reward is a number."""
    return (
        isinstance(item, (tuple, list, np.ndarray))
        and len(item) == 4
        and not isinstance(item[2], (tuple, list, str))
        and np.ndim(item[2]) == 0
    )


def _stacked(prior: Any, n_actions: int) -> Any:
    """Return a sparse prior as one matrix (S * A, S); None if it is not sparse."""
    if hasattr(prior, "tocsr"):
        return prior
    if not isinstance(prior, (list, tuple)) or not all(hasattr(one, "tocsr") for one in prior):
        return None
    if len(prior) != n_actions or len({one.shape for one in prior}) != 1:
        raise InvalidModelError(
            f"prior: got {len(prior)} sparse matrices; expected {n_actions} of one shape, one for "
            "each action."
        )
    from scipy import sparse

    tall = sparse.vstack([one.tocsr() for one in prior]).tocsr()
    n_states = prior[0].shape[0]
    order = np.arange(n_states * n_actions).reshape(n_actions, n_states).T.ravel()
    return tall[order]


def read_label(given: Any) -> Any:
    """Turn numbers from an array of floats back into whole ones."""
    if isinstance(given, (float, np.floating)) and float(given).is_integer():
        return int(given)
    return given


def read_reward(given: Any, name: str) -> float:
    """Return a finite number."""
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise InvalidOptionError(f"{name}: reward: got {shown(given)}; expected a finite number.")
    return number


def read_indices(
    given: object, name: str, length: int | None, below: int, least: int = 0
) -> NDArray[np.int64]:
    """Return whole numbers from `least` to `below` - 1, `length` of them."""
    array: NDArray[Any] = np.asarray(given)
    right = array.ndim == 1 and (array.dtype.kind in "iu" or array.size == 0)
    if not right or length not in (None, len(array)):
        size = "one axis" if length is None else f"shape ({length},)"
        raise InvalidOptionError(
            f"{name}: got {array.dtype} of shape {array.shape}; expected whole numbers of {size}."
        )
    wrong = (array < least) | (array >= below)
    if wrong.any():
        raise InvalidOptionError(
            f"{name}: got {array[int(np.argmax(wrong))]}; expected numbers from {least} to "
            f"{below - 1}."
        )
    return array.astype(np.int64)
