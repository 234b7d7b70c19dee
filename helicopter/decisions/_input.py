"""Reads the parts that a decision model is made of, and says what is wrong with them, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from helicopter._messages import shown
from helicopter.errors import InvalidModelError

from ._labels import ROW_SUM, ROW_SUM_SINGLE, LabelList, Names, first_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._model import Rows

__all__ = [
    "MOST",
    "all_sparse",
    "as_column",
    "as_csr",
    "as_indices",
    "as_numbers",
    "axis_of_actions",
    "check_allowed",
    "check_steps",
    "diagnose_dense",
    "diagnose_rows",
    "number_labels",
    "per_pair",
    "refuse_shape",
    "reward_forms",
    "rewards_of_rows",
]

#: States and actions are numbered in 32 bits.
MOST = 2**31 - 1


def as_csr(
    matrix: Any, name: str
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float64], tuple[int, int], float]:
    """Return row starts, columns, values, shape, and how far from one rows may add up."""
    if not hasattr(matrix, "tocsr"):
        from scipy import sparse

        dense = as_numbers(matrix, name, "a sparse matrix or an array of shape (L, S)")
        if dense.ndim != 2:
            refuse_shape(name, dense.shape, "(L, S)")
        matrix = sparse.csr_array(dense)
    if len(matrix.shape) != 2:
        refuse_shape(name, matrix.shape, "a matrix")
    if matrix.shape[1] > MOST:
        refuse_shape(name, matrix.shape, f"at most {MOST} states")
    csr = matrix.tocsr()
    if csr.data.dtype.kind not in "fiub":
        raise InvalidModelError(
            f"{name}: dtype {csr.data.dtype} is not accepted; expected float64."
        )
    single = csr.data.dtype.kind == "f" and csr.data.dtype.itemsize < 8
    shape = (int(csr.shape[0]), int(csr.shape[1]))
    return (
        csr.indptr.astype(np.int64, copy=False),
        csr.indices,
        csr.data.astype(np.float64, copy=False),
        shape,
        ROW_SUM_SINGLE if single else ROW_SUM,
    )


def rewards_of_rows(
    rewards: Any,
    pairs: tuple[int, ...],
    whole: tuple[int, int],
    start: NDArray[np.int64],
    columns: NDArray[Any],
) -> NDArray[np.float64]:
    """Return one reward for each row, or one for each entry if `rewards` is a sparse matrix."""
    if not hasattr(rewards, "tocsr"):
        accepted = f"a sparse matrix of shape {whole} or an array of shape {pairs}"
        if len(pairs) == 2:
            accepted += f" or {pairs[:1]}"
        table = as_numbers(rewards, "rewards", accepted)
        if table.shape != pairs and (len(pairs) == 1 or table.shape != pairs[:1]):
            refuse_shape("rewards", table.shape, accepted)
        if table.shape != pairs:
            table = np.broadcast_to(table[:, None], pairs)
        return np.ascontiguousarray(table, dtype=np.float64).ravel()
    if rewards.shape != whole:
        refuse_shape("rewards", rewards.shape, f"{whole}, like transitions")
    amounts = rewards.tocsr().copy()
    amounts.sum_duplicates()
    # where both have an entry, by the number of the cell
    row_of = np.repeat(np.arange(whole[0]), np.diff(start))
    wanted = row_of * whole[1] + columns
    paid_at = np.repeat(np.arange(whole[0]), np.diff(amounts.indptr)) * whole[1] + amounts.indices
    place = np.searchsorted(paid_at, wanted)
    inside = place < len(paid_at)
    found = np.zeros(len(wanted), dtype=bool)
    found[inside] = paid_at[place[inside]] == wanted[inside]
    paid = np.zeros(len(wanted))
    paid[found] = amounts.data[place[found]]
    return paid


def per_pair(
    paid: NDArray[np.float64], n_states: int, n_actions: int, like: tuple[int, ...] | None
) -> NDArray[np.float64]:
    """Rewards of shape (S, A), from these or from (S,)."""
    if paid.shape == (n_states, n_actions):
        return np.ascontiguousarray(paid)
    if paid.shape == (n_states,):
        return np.repeat(paid[:, None], n_actions, axis=1)
    return refuse_shape("rewards", paid.shape, reward_forms(like, n_states, n_actions))


def reward_forms(like: tuple[int, ...] | None, n_states: int, n_actions: int) -> str:
    """What rewards may look like, in words."""
    text = f"{(n_states, n_actions)} or {(n_states,)}"
    return f"{text} or, like transitions, {like}" if like else text


def check_allowed(allowed: object, n_states: int, n_actions: int) -> NDArray[np.bool_] | None:
    """Which actions there are, as a bool array; None: all."""
    if allowed is None:
        return None
    there = np.asarray(allowed)
    if there.dtype != np.bool_ or there.shape != (n_states, n_actions):
        raise InvalidModelError(
            f"allowed: got {there.dtype} of shape {there.shape}; expected bool of shape "
            f"{(n_states, n_actions)}."
        )
    return np.ascontiguousarray(there)


def check_steps(transitions: Any) -> list[Any]:
    """Tuples of five, as a list."""
    accepted = (
        "rewards is None, so transitions has to be an iterable of (state, action, next state, "
    )
    accepted += "probability, reward)"
    if (
        hasattr(transitions, "tocsr")
        or isinstance(transitions, np.ndarray)
        or all_sparse(transitions)
    ):
        raise InvalidModelError(
            f"rewards: missing; expected an array of them beside {type(transitions).__name__} "
            "transitions. A list of (state, action, next state, probability, reward) needs none; "
            "an array of such rows is given as its list: transitions.tolist()."
        )
    try:
        steps = list(transitions)
    except TypeError:
        raise InvalidModelError(
            f"transitions: got {type(transitions).__name__}; {accepted}."
        ) from None
    if not steps:
        raise InvalidModelError("transitions: got none; expected at least one.")
    for number, step in enumerate(steps):
        if not isinstance(step, (tuple, list)) or len(step) != 5:
            raise InvalidModelError(f"transitions[{number}]: got {shown(step)}; {accepted}.")
    return steps


def number_labels(
    labels: tuple[Any, ...], given: LabelList | None, what: str, steps: list[Any]
) -> tuple[LabelList | None, dict[Any, int] | range]:
    """Number labels: as given, as they are if all are whole numbers from 0 on, or as they come.

    `labels` are those of all `steps`, once or twice over.
    """
    try:
        distinct = dict.fromkeys(labels)
    except TypeError:
        raise InvalidModelError(
            f"transitions: labels of {what}s have to be hashable; expected numbers or strings."
        ) from None
    if given is not None:
        number_of = {label: number for number, label in enumerate(given)}
        for label in distinct:
            if label not in number_of:
                number = labels.index(label) % len(steps)
                raise InvalidModelError(
                    f"transitions[{number}]: got {shown(tuple(steps[number]))}; "
                    f"{what} {shown(label)} is not among the {what}s that were given."
                )
        return given, number_of
    if all(isinstance(label, (int, np.integer)) for label in distinct) and min(distinct) >= 0:
        most = int(max(distinct))
        if most >= MOST:
            raise InvalidModelError(
                f"transitions: {what} {most} is too large a number; expected at most {MOST - 1}, "
                "or labels that are no numbers."
            )
        return None, range(most + 1)
    return list(distinct), {label: number for number, label in enumerate(distinct)}


def as_column(values: tuple[Any, ...], what: str) -> NDArray[np.float64]:
    """One item of all tuples, as float64."""
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        for number, value in enumerate(values):
            try:
                float(value)
            except OverflowError:
                raise InvalidModelError(
                    f"transitions[{number}]: the {what} is beyond what float64 can hold."
                ) from None
            except (TypeError, ValueError):
                raise InvalidModelError(
                    f"transitions[{number}]: the {what} is {shown(value)}; expected a number."
                ) from None
        raise


def as_numbers(value: Any, name: str, accepted: str) -> NDArray[Any]:
    """Any array of numbers, of whatever dtype."""
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "fiub":
        raise InvalidModelError(
            f"{name}: got {type(value).__name__} of dtype {array.dtype}; expected numbers: "
            f"{accepted}."
        )
    return array


def as_indices(value: Any, name: str, length: int) -> NDArray[np.int64]:
    """Whole numbers, one for each row."""
    array = as_numbers(value, name, f"{length} whole numbers")
    if array.dtype.kind not in "iu" or array.shape != (length,):
        raise InvalidModelError(
            f"{name}: got {array.dtype} of shape {array.shape}; expected whole numbers of shape "
            f"{(length,)}, one for each row of transitions."
        )
    return array.astype(np.int64, copy=False)


def all_sparse(value: Any) -> bool:
    """Whether this is a sequence of sparse matrices."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return False
    return (
        isinstance(value, (list, tuple, np.ndarray))
        and getattr(value, "ndim", 1) > 0
        and len(value) > 0
        and all(hasattr(one, "tocsr") for one in value)
    )


def diagnose_dense(
    chances: NDArray[np.float64],
    paid: NDArray[np.float64],
    there: NDArray[np.bool_] | None,
    names: Names,
    tolerance: float,
) -> NoReturn:
    """Raise for what is wrong with dense arrays that a backend refused."""
    if there is None:
        there = np.ones(chances.shape[:2], dtype=bool)
    wrong = ~((chances >= 0.0) & (chances < np.inf)) & there[:, :, None]
    if wrong.any():
        state, action, target = first_of(wrong)
        _refuse_chance(names, state, action, target, chances[state, action, target])
    wrong = ~np.isfinite(paid) & there.reshape(there.shape + (1,) * (paid.ndim - 2))
    if wrong.any():
        at = first_of(wrong)
        _refuse_reward(names, at[0], at[1], float(paid[at]))
    sums = np.where(there, chances.sum(axis=2), 1.0)
    state, action = first_of(np.abs(sums - 1.0) == np.abs(sums - 1.0).max())
    _refuse_sum(names, state, action, sums[state, action], tolerance)


def diagnose_rows(rows: Rows, names: Names) -> NoReturn:
    """Raise for what is wrong with rows that a backend refused."""
    row_of = rows.row_of

    def pair(row: int) -> tuple[int, int]:
        return int(rows.states[row]), int(rows.actions[row])

    wrong = ~((rows.probabilities >= 0.0) & (rows.probabilities < np.inf))
    if wrong.any():
        (at,) = first_of(wrong)
        _refuse_chance(names, *pair(row_of[at]), rows.columns[at], rows.probabilities[at])
    wrong = ~np.isfinite(rows.rewards)
    if wrong.any():
        (at,) = first_of(wrong)
        row = row_of[at] if rows.by_entry else at
        _refuse_reward(names, *pair(row), rows.rewards[at])
    wrong = (rows.columns < 0) | (rows.columns >= rows.n_states)
    if wrong.any():
        (at,) = first_of(wrong)
        raise InvalidModelError(
            f"transitions: {names.pair(*pair(row_of[at]))}: the next state {rows.columns[at]} does "
            f"not exist; expected a number from 0 to {rows.n_states - 1}."
        )
    key = rows.states * rows.n_actions + rows.actions
    values, counts = np.unique(key, return_counts=True)
    if counts.max(initial=1) > 1:
        double = int(values[counts > 1][0])
        at_state, at_action = divmod(double, rows.n_actions)
        raise InvalidModelError(
            f"actions: {names.pair(at_state, at_action)} is there {counts.max()} times; expected "
            "one row for each pair of state and action."
        )
    sums = np.bincount(row_of, rows.probabilities, len(rows.states))
    off = np.abs(sums - 1.0)
    (row,) = first_of(off == off.max())
    _refuse_sum(names, *pair(row), sums[row], rows.tolerance)


def axis_of_actions(shape: tuple[int, ...], asked: object, forms: str) -> int:
    """Return which axis of dense transitions counts the actions, 1 of (S, A, S) or 0 of (A, S, S).

    Where S = A their shape does not tell, and nothing is guessed.
    """
    if asked is not None and (isinstance(asked, bool) or asked not in (0, 1)):
        raise InvalidModelError(
            f"action_axis: got {shown(asked)}; expected 0 for transitions of shape (A, S, S), 1 "
            "for (S, A, S), or None to tell by the shape."
        )
    if asked is not None and len(shape) == 3:
        if shape[1 - int(asked)] != shape[2]:
            refuse_shape("transitions", shape, "(A, S, S)" if asked == 0 else "(S, A, S)")
        return int(asked)
    if len(shape) != 3 or shape[2] not in shape[:2]:
        refuse_shape("transitions", shape, forms)
    if shape[0] == shape[1] > 1:
        raise InvalidModelError(
            f"transitions: shape {shape} may be (S, A, S) or (A, S, S), since there are as many "
            "actions as states. Say which: action_axis=1 for (S, A, S), action_axis=0 for "
            "(A, S, S), as a list of one matrix for each action is."
        )
    return 1 if shape[0] == shape[2] else 0


def refuse_shape(name: str, shape: tuple[int, ...], accepted: str) -> NoReturn:
    raise InvalidModelError(f"{name}: shape {tuple(shape)} is not accepted; expected {accepted}.")


def _refuse_chance(names: Names, state: int, action: int, target: int, chance: float) -> NoReturn:
    raise InvalidModelError(
        f"transitions: {names.pair(state, action)}: the probability of {names.state(int(target))} "
        f"is {float(chance)!r}; expected a number from 0 to 1."
    )


def _refuse_reward(names: Names, state: int, action: int, reward: float) -> NoReturn:
    raise InvalidModelError(
        f"rewards: {names.pair(state, action)}: got {float(reward)!r}; expected a finite number, "
        "or -inf for an action that is not available."
    )


def _refuse_sum(names: Names, state: int, action: int, total: float, tolerance: float) -> NoReturn:
    raise InvalidModelError(
        f"transitions: {names.pair(state, action)}: the probabilities add up to {float(total)!r}; "
        f"expected 1 within {tolerance:g}. An action that is not available is marked by allowed, "
        "or by a reward of -inf."
    )
