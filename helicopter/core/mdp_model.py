"""Brings every accepted form of a Markov decision process into compressed rows.

The forms are tried in `build`; what a form needs is brought into one of two shapes that backends
compress, dense arrays or rows of pairs. A backend only says that something is wrong with them; what
it is, and where, is found out here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from helicopter.errors import InvalidModelError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from helicopter.backends.protocol import Backend, DecisionModel

    LabelList = Sequence[Hashable]

__all__ = ["ROW_SUM", "ROW_SUM_SINGLE", "Built", "build", "build_from_pairs"]

#: How far from one a row may add up, and the same for probabilities in single precision.
ROW_SUM = 1e-9
ROW_SUM_SINGLE = 1e-5
#: States and actions are numbered in 32 bits.
MOST = 2**31 - 1

FORMS = (
    "a dense array of shape (S, A, S) or (A, S, S), a sequence of A sparse matrices (S, S), a "
    "sparse matrix (S * A, S), or an iterable of (state, action, next state, probability, reward)"
)


@dataclass(frozen=True)
class Names:
    """What states and actions are called; None: by their numbers."""

    states: LabelList | None = None
    actions: LabelList | None = None

    def state(self, number: int) -> str:
        return _name("state", number, self.states)

    def pair(self, state: int, action: int) -> str:
        return f"{self.state(state)}, {_name('action', action, self.actions)}"


@dataclass(frozen=True)
class Built:
    """A compressed model with the labels of its states and actions."""

    model: DecisionModel
    n_actions: int
    names: Names


@dataclass(frozen=True)
class Rows:
    """Pairs (state, action) in any order, with their transitions; `rewards` per pair or entry."""

    n_states: int
    n_actions: int
    states: NDArray[np.int64]
    actions: NDArray[np.int64]
    row_start: NDArray[np.int64]
    columns: NDArray[Any]
    probabilities: NDArray[np.float64]
    rewards: NDArray[np.float64]
    tolerance: float = ROW_SUM

    @property
    def row_of(self) -> NDArray[np.int64]:
        """The row of each entry."""
        return np.repeat(np.arange(len(self.states)), np.diff(self.row_start))

    @property
    def by_entry(self) -> bool:
        return self.rewards.shape != self.states.shape

    def only(self, keep: NDArray[np.bool_]) -> Rows:
        """Leave out pairs."""
        entries = np.repeat(keep, np.diff(self.row_start))
        return replace(
            self,
            states=self.states[keep],
            actions=self.actions[keep],
            row_start=_starts(np.diff(self.row_start)[keep]),
            columns=self.columns[entries],
            probabilities=self.probabilities[entries],
            rewards=self.rewards[entries if self.by_entry else keep],
        )


def build(
    backend: Backend,
    transitions: object,
    rewards: object,
    allowed: object,
    states: LabelList | None,
    actions: LabelList | None,
) -> Built:
    """Compress a model of any form; see `helicopter.core.MDP`."""
    if (
        type(transitions) is np.ndarray
        and type(rewards) is np.ndarray
        and transitions.ndim == 3
        and transitions.shape[0] == transitions.shape[2]
        and rewards.shape == transitions.shape[: rewards.ndim]
        and rewards.ndim > 1
        and transitions.size
        and transitions.dtype == rewards.dtype == np.float64
        and transitions.flags.c_contiguous
        and rewards.flags.c_contiguous
        and states is actions is allowed is None
    ):
        # the common case at once: small models are solved in less time than it takes to look twice
        model = backend.compress_dense(transitions, rewards, None)
        if model is not None:
            return Built(model, transitions.shape[1], Names())
    if rewards is None:
        return _from_tuples(backend, transitions, allowed, states, actions)
    if hasattr(transitions, "tocsr"):
        return _from_stacked(backend, transitions, rewards, allowed, states, actions)
    if _all_sparse(transitions):
        return _from_matrices(backend, transitions, rewards, allowed, states, actions)
    return _from_dense(backend, transitions, rewards, allowed, states, actions)


# ---- dense arrays


def _from_dense(
    backend: Backend,
    transitions: object,
    rewards: object,
    allowed: object,
    states: LabelList | None,
    actions: LabelList | None,
) -> Built:
    given = _numbers(transitions, "transitions", FORMS)
    if given.ndim != 3 or given.size == 0:
        _refuse_shape("transitions", given.shape, FORMS)
    by_action = given.shape[0] != given.shape[2]
    if by_action and given.shape[1] != given.shape[2]:
        _refuse_shape("transitions", given.shape, FORMS)
    single = given.dtype.kind == "f" and given.dtype.itemsize < 8
    chances = np.ascontiguousarray(
        given.transpose(1, 0, 2) if by_action else given, dtype=np.float64
    )
    n_states, n_actions = chances.shape[:2]
    names = _names(states, actions, n_states, n_actions)
    there = _allowed(allowed, n_states, n_actions)
    paid = _numbers(rewards, "rewards", _reward_forms(given.shape, n_states, n_actions))
    paid = paid.astype(np.float64, copy=False)
    if paid.ndim == 3 and paid.shape == given.shape:
        paid = np.ascontiguousarray(paid.transpose(1, 0, 2) if by_action else paid)
    else:
        paid = _per_pair(paid, n_states, n_actions, given.shape)
    tolerance = ROW_SUM
    if single:
        tolerance = ROW_SUM_SINGLE
        sums = chances.sum(axis=2, keepdims=True)
        chances = np.divide(chances, sums, out=chances.copy(), where=np.abs(sums - 1) <= tolerance)
    model = backend.compress_dense(chances, paid, there)
    if model is None:
        missing = np.isneginf(paid)
        if missing.any():
            there = np.ones((n_states, n_actions), dtype=bool) if there is None else there
            there = there & ~(missing if paid.ndim == 2 else missing.any(axis=2))
            paid = np.where(there.reshape(there.shape + (1,) * (paid.ndim - 2)), paid, 0.0)
            model = backend.compress_dense(chances, paid, there)
    if model is None:
        _diagnose_dense(chances, paid, there, names, tolerance)
    return Built(model, n_actions, names)


def _diagnose_dense(
    chances: NDArray[np.float64],
    paid: NDArray[np.float64],
    there: NDArray[np.bool_] | None,
    names: Names,
    tolerance: float,
) -> NoReturn:
    if there is None:
        there = np.ones(chances.shape[:2], dtype=bool)
    wrong = ~((chances >= 0.0) & (chances < np.inf)) & there[:, :, None]
    if wrong.any():
        state, action, target = _first(wrong)
        _refuse_chance(names, state, action, target, chances[state, action, target])
    wrong = ~np.isfinite(paid) & there.reshape(there.shape + (1,) * (paid.ndim - 2))
    if wrong.any():
        at = _first(wrong)
        _refuse_reward(names, at[0], at[1], float(paid[at]))
    sums = np.where(there, chances.sum(axis=2), 1.0)
    state, action = _first(np.abs(sums - 1.0) == np.abs(sums - 1.0).max())
    _refuse_sum(names, state, action, sums[state, action], tolerance)


# ---- rows of pairs


def build_from_pairs(
    backend: Backend,
    states: object,
    actions: object,
    transitions: object,
    rewards: object,
    state_labels: LabelList | None,
    action_labels: LabelList | None,
) -> Built:
    """Compress pairs (state, action) with a row of `transitions` each; see `MDP.from_pairs`."""
    start, columns, chances, (n_pairs, n_states), tolerance = _csr(transitions, "transitions")
    of_state = _indices(states, "states", n_pairs)
    of_action = _indices(actions, "actions", n_pairs)
    most = int(of_action.max(initial=-1)) + 1
    if n_states == 0:
        _refuse_shape("transitions", (n_pairs, n_states), "(L, S) with at least one state")
    n_actions = max(most if action_labels is None else len(action_labels), 1)
    names = _names(state_labels, action_labels, n_states, n_actions)
    for numbers, bound, what in ((of_state, n_states, "state"), (of_action, n_actions, "action")):
        wrong = (numbers < 0) | (numbers >= bound)
        if wrong.any():
            (at,) = _first(wrong)
            raise InvalidModelError(
                f"{what}s: pair {at} has {what} {numbers[at]}; expected a number from 0 to "
                f"{bound - 1}."
            )
    paid = _rewards_of_rows(rewards, (n_pairs,), (n_pairs, n_states), start, columns)
    rows = Rows(n_states, n_actions, of_state, of_action, start, columns, chances, paid, tolerance)
    return _compress(backend, rows, names)


def _from_stacked(
    backend: Backend,
    transitions: object,
    rewards: object,
    allowed: object,
    states: LabelList | None,
    actions: LabelList | None,
) -> Built:
    start, columns, chances, (n_rows, n_states), tolerance = _csr(transitions, "transitions")
    if n_states == 0 or n_rows == 0 or n_rows % n_states:
        _refuse_shape("transitions", (n_rows, n_states), "(S * A, S) for a sparse matrix")
    n_actions = n_rows // n_states
    pair = np.arange(n_rows, dtype=np.int64)
    paid = _rewards_of_rows(rewards, (n_states, n_actions), (n_rows, n_states), start, columns)
    rows = Rows(
        n_states,
        n_actions,
        pair // n_actions,
        pair % n_actions,
        start,
        columns,
        chances,
        paid,
        tolerance,
    )
    names = _names(states, actions, n_states, n_actions)
    return _compress(backend, _leave_out(rows, allowed), names)


def _from_matrices(
    backend: Backend,
    transitions: Any,
    rewards: object,
    allowed: object,
    states: LabelList | None,
    actions: LabelList | None,
) -> Built:
    parts = [_csr(one, f"transitions[{number}]") for number, one in enumerate(transitions)]
    n_states, n_actions = parts[0][3][1], len(parts)
    for number, part in enumerate(parts):
        if part[3] != (n_states, n_states) or n_states == 0:
            _refuse_shape(f"transitions[{number}]", part[3], f"({n_states}, {n_states})")
    start = _starts(np.concatenate([np.diff(part[0]) for part in parts]))
    columns = np.concatenate([part[1] for part in parts])
    chances = np.concatenate([part[2] for part in parts])
    if _all_sparse(rewards):
        from scipy import sparse

        amounts: Any = rewards
        if len(amounts) != n_actions or any(one.shape != (n_states,) * 2 for one in amounts):
            raise InvalidModelError(
                f"rewards: got {len(amounts)} matrices; expected {n_actions} of shape "
                f"{(n_states, n_states)}, one for each action."
            )
        rewards = sparse.vstack(amounts, format="csr")
    shape = (n_states, n_actions)
    if not hasattr(rewards, "tocsr"):
        table = _numbers(rewards, "rewards", _reward_forms(None, *shape)).astype(np.float64)
        if table.shape == (n_actions, n_states, n_states):
            row_of = np.repeat(np.arange(n_actions * n_states), np.diff(start))
            paid = table.reshape(-1, n_states)[row_of, columns]
        else:
            paid = np.ascontiguousarray(_per_pair(table, *shape, None).T).ravel()
    else:
        whole = (n_actions * n_states, n_states)
        paid = _rewards_of_rows(rewards, (n_actions * n_states,), whole, start, columns)
    pair = np.arange(n_states * n_actions, dtype=np.int64)
    rows = Rows(
        n_states,
        n_actions,
        pair % n_states,
        pair // n_states,
        start,
        columns,
        chances,
        paid,
        max(part[4] for part in parts),
    )
    names = _names(states, actions, *shape)
    return _compress(backend, _leave_out(rows, allowed), names)


def _from_tuples(
    backend: Backend,
    transitions: object,
    allowed: object,
    states: LabelList | None,
    actions: LabelList | None,
) -> Built:
    steps = _steps(transitions)
    if allowed is not None:
        raise InvalidModelError(
            "allowed: a list of transitions has no use for it; leave out what is not allowed."
        )
    source, act, target, chance, reward = zip(*steps, strict=True)
    state_names, state_of = _number((*source, *target), states, "state")
    action_names, action_of = _number(act, actions, "action")
    n_states = len(state_of) if state_names is None else len(state_names)
    n_actions = len(action_of) if action_names is None else len(action_names)
    names = _names(state_names, action_names, n_states, n_actions)
    from_state = np.array([state_of[label] for label in source], dtype=np.int64)
    with_action = np.array([action_of[label] for label in act], dtype=np.int64)
    columns = np.array([state_of[label] for label in target], dtype=np.int64)
    chances = _column(chance, "probability")
    paid = _column(reward, "reward")
    key = from_state * n_actions + with_action
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    rows = Rows(
        n_states,
        n_actions,
        key[first] // n_actions,
        key[first] % n_actions,
        np.append(first, len(key)),
        columns[order],
        chances[order],
        paid[order],
    )
    return _compress(backend, rows, names)


def _compress(backend: Backend, rows: Rows, names: Names) -> Built:
    if rows.tolerance != ROW_SUM:
        rows = _rescaled(rows)
    model = _try(backend, rows)
    if model is None:
        missing = np.isneginf(rows.rewards)
        if missing.any():
            if rows.by_entry:
                missing = np.bincount(rows.row_of, missing, len(rows.states)) > 0
            rows = rows.only(~missing)
            model = _try(backend, rows)
    if model is None:
        _diagnose_rows(rows, names)
    return Built(model, rows.n_actions, names)


def _try(backend: Backend, rows: Rows) -> DecisionModel | None:
    return backend.compress_rows(
        rows.n_states,
        rows.states,
        rows.actions,
        rows.row_start,
        rows.columns,
        rows.probabilities,
        rows.rewards,
    )


def _rescaled(rows: Rows) -> Rows:
    """Divide by their sums the rows that add up to one in single precision."""
    row_of = rows.row_of
    sums = np.bincount(row_of, rows.probabilities, len(rows.states))
    sums = np.where(np.abs(sums - 1.0) <= rows.tolerance, sums, 1.0)
    return replace(rows, probabilities=rows.probabilities / sums[row_of])


def _diagnose_rows(rows: Rows, names: Names) -> NoReturn:
    row_of = rows.row_of

    def pair(row: int) -> tuple[int, int]:
        return int(rows.states[row]), int(rows.actions[row])

    wrong = ~((rows.probabilities >= 0.0) & (rows.probabilities < np.inf))
    if wrong.any():
        (at,) = _first(wrong)
        _refuse_chance(names, *pair(row_of[at]), rows.columns[at], rows.probabilities[at])
    wrong = ~np.isfinite(rows.rewards)
    if wrong.any():
        (at,) = _first(wrong)
        row = row_of[at] if rows.by_entry else at
        _refuse_reward(names, *pair(row), rows.rewards[at])
    wrong = (rows.columns < 0) | (rows.columns >= rows.n_states)
    if wrong.any():
        (at,) = _first(wrong)
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
    (row,) = _first(off == off.max())
    _refuse_sum(names, *pair(row), sums[row], rows.tolerance)


# ---- parts of the input


def _csr(
    matrix: Any, name: str
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float64], tuple[int, int], float]:
    """Return row starts, columns, values, shape, and how far from one rows may add up."""
    if not hasattr(matrix, "tocsr"):
        from scipy import sparse

        dense = _numbers(matrix, name, "a sparse matrix or an array of shape (L, S)")
        if dense.ndim != 2:
            _refuse_shape(name, dense.shape, "(L, S)")
        matrix = sparse.csr_array(dense)
    if len(matrix.shape) != 2:
        _refuse_shape(name, matrix.shape, "a matrix")
    if matrix.shape[1] > MOST:
        _refuse_shape(name, matrix.shape, f"at most {MOST} states")
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


def _rewards_of_rows(
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
        table = _numbers(rewards, "rewards", accepted)
        if table.shape != pairs and (len(pairs) == 1 or table.shape != pairs[:1]):
            _refuse_shape("rewards", table.shape, accepted)
        if table.shape != pairs:
            table = np.broadcast_to(table[:, None], pairs)
        return np.ascontiguousarray(table, dtype=np.float64).ravel()
    if rewards.shape != whole:
        _refuse_shape("rewards", rewards.shape, f"{whole}, like transitions")
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


def _per_pair(
    paid: NDArray[np.float64], n_states: int, n_actions: int, like: tuple[int, ...] | None
) -> NDArray[np.float64]:
    if paid.shape == (n_states, n_actions):
        return np.ascontiguousarray(paid)
    if paid.shape == (n_states,):
        return np.repeat(paid[:, None], n_actions, axis=1)
    return _refuse_shape("rewards", paid.shape, _reward_forms(like, n_states, n_actions))


def _reward_forms(like: tuple[int, ...] | None, n_states: int, n_actions: int) -> str:
    text = f"{(n_states, n_actions)} or {(n_states,)}"
    return f"{text} or, like transitions, {like}" if like else text


def _allowed(allowed: object, n_states: int, n_actions: int) -> NDArray[np.bool_] | None:
    if allowed is None:
        return None
    there = np.asarray(allowed)
    if there.dtype != np.bool_ or there.shape != (n_states, n_actions):
        raise InvalidModelError(
            f"allowed: got {there.dtype} of shape {there.shape}; expected bool of shape "
            f"{(n_states, n_actions)}."
        )
    return np.ascontiguousarray(there)


def _leave_out(rows: Rows, allowed: object) -> Rows:
    there = _allowed(allowed, rows.n_states, rows.n_actions)
    return rows if there is None else rows.only(there[rows.states, rows.actions])


def _steps(transitions: Any) -> list[Any]:
    accepted = (
        "rewards is None, so transitions has to be an iterable of (state, action, next state, "
    )
    accepted += "probability, reward)"
    if (
        hasattr(transitions, "tocsr")
        or isinstance(transitions, np.ndarray)
        or _all_sparse(transitions)
    ):
        raise InvalidModelError(f"rewards: missing; expected an array. ({accepted[:15]}.)")
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
            raise InvalidModelError(f"transitions[{number}]: got {step!r}; {accepted}.")
    return steps


def _number(
    labels: tuple[Any, ...], given: LabelList | None, what: str
) -> tuple[LabelList | None, dict[Any, int] | range]:
    """Number labels: as given, as they are if all are whole numbers from 0 on, or as they come."""
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
                raise InvalidModelError(
                    f"transitions: {what} {label!r} is not among the {what}s that were given."
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


def _column(values: tuple[Any, ...], what: str) -> NDArray[np.float64]:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        for number, value in enumerate(values):
            try:
                float(value)
            except (TypeError, ValueError):
                raise InvalidModelError(
                    f"transitions[{number}]: the {what} is {value!r}; expected a number."
                ) from None
        raise


def _numbers(value: Any, name: str, accepted: str) -> NDArray[Any]:
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


def _indices(value: Any, name: str, length: int) -> NDArray[np.int64]:
    array = _numbers(value, name, f"{length} whole numbers")
    if array.dtype.kind not in "iu" or array.shape != (length,):
        raise InvalidModelError(
            f"{name}: got {array.dtype} of shape {array.shape}; expected whole numbers of shape "
            f"{(length,)}, one for each row of transitions."
        )
    return array.astype(np.int64, copy=False)


def _names(
    states: LabelList | None, actions: LabelList | None, n_states: int, n_actions: int
) -> Names:
    for labels, count, what in ((states, n_states, "states"), (actions, n_actions, "actions")):
        if labels is not None and (len(labels) != count or len(set(labels)) != count):
            raise InvalidModelError(
                f"{what}: got {len(labels)} labels, {len(set(labels))} of them different; expected "
                f"{count}, all different."
            )
    return Names(states, actions)


def _name(what: str, number: int, labels: LabelList | None) -> str:
    return f"{what} {number}" if labels is None else f"{what} {number} ({labels[number]!r})"


def _all_sparse(value: Any) -> bool:
    if isinstance(value, np.ndarray) and value.dtype != object:
        return False
    return (
        isinstance(value, (list, tuple, np.ndarray))
        and len(value) > 0
        and all(hasattr(one, "tocsr") for one in value)
    )


def _starts(counts: NDArray[Any]) -> NDArray[np.int64]:
    start = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=start[1:])
    return start


def _first(wrong: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))


# ---- complaints


def _refuse_shape(name: str, shape: tuple[int, ...], accepted: str) -> NoReturn:
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
