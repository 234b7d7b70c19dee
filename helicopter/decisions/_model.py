"""Brings every accepted form of a Markov decision process into compressed rows.

The forms are tried in `build`; what a form needs is brought into one of two shapes that backends
compress, dense arrays or rows of pairs. A backend only says that something is wrong with them; what
it is, and where, is found out here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter.errors import InvalidModelError

from ._input import (
    all_sparse,
    as_column,
    as_csr,
    as_indices,
    as_numbers,
    axis_of_actions,
    check_allowed,
    check_steps,
    diagnose_dense,
    diagnose_rows,
    number_labels,
    per_pair,
    refuse_shape,
    reward_forms,
    rewards_of_rows,
)
from ._labels import ROW_SUM, ROW_SUM_SINGLE, LabelList, Names, first_of, make_names, starts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.backends.protocol import Backend, DecisionModel

__all__ = [
    "Built",
    "Rows",
    "build",
    "build_from_pairs",
    "compress",
]


#: So many states that no transition names, and so many more for each transition.
UNNAMED, PER_TRANSITION = 2**20, 64


@dataclass(frozen=True)
class Built:
    """A compressed model with the labels of its states and actions."""

    model: DecisionModel
    n_actions: int
    names: Names


@dataclass(frozen=True)
class Rows:
    """Pairs (state, action) in any order, with their transitions; rewards per pair or entry."""

    n_states: int
    n_actions: int
    states: NDArray[np.int64]
    actions: NDArray[np.int64]
    row_start: NDArray[np.int64]
    columns: NDArray[Any]
    probabilities: NDArray[np.float64]
    rewards: NDArray[np.float64]
    by_entry: bool
    tolerance: float = ROW_SUM

    @property
    def row_of(self) -> NDArray[np.int64]:
        """The row of each entry."""
        return np.repeat(np.arange(len(self.states)), np.diff(self.row_start))

    def only(self, keep: NDArray[np.bool_]) -> Rows:
        """Leave out pairs."""
        entries = np.repeat(keep, np.diff(self.row_start))
        return replace(
            self,
            states=self.states[keep],
            actions=self.actions[keep],
            row_start=starts_of(np.diff(self.row_start)[keep]),
            columns=self.columns[entries],
            probabilities=self.probabilities[entries],
            rewards=self.rewards[entries if self.by_entry else keep],
        )


def compress(backend: Backend, rows: Rows, names: Names) -> Built:
    """Have a backend compress rows, without those whose reward is minus infinity."""
    _check_counts(rows)
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
        diagnose_rows(rows, names)
    return Built(model, rows.n_actions, names)


def _check_counts(rows: Rows) -> None:
    """Refuse far more states or actions than the transitions could name: one number is a typo."""
    transitions = len(rows.columns)
    most = UNNAMED + PER_TRANSITION * transitions
    for count, what in ((rows.n_states, "state"), (rows.n_actions, "action")):
        if count > most:
            raise InvalidModelError(
                f"transitions: {count} {what}s, of which {transitions} transitions name few; "
                f"expected at most {most}. Labels need not be numbers, nor numbers without gaps: "
                f"with {what}s=[...] they are those of the list."
            )


def _try(backend: Backend, rows: Rows) -> DecisionModel | None:
    return backend.compress_rows(
        rows.n_states,
        rows.states,
        rows.actions,
        rows.row_start,
        rows.columns,
        rows.probabilities,
        rows.rewards,
        rows.by_entry,
    )


def _rescaled(rows: Rows) -> Rows:
    """Divide by their sums the rows that add up to one in single precision."""
    row_of = rows.row_of
    sums = np.bincount(row_of, rows.probabilities, len(rows.states))
    sums = np.where(np.abs(sums - 1.0) <= rows.tolerance, sums, 1.0)
    return replace(rows, probabilities=rows.probabilities / sums[row_of])


FORMS = (
    "a dense array of shape (S, A, S) or (A, S, S), a sequence of A sparse matrices (S, S), a "
    "sparse matrix (S * A, S), or an iterable of (state, action, next state, probability, reward)"
)


def build(
    backend: Backend,
    transitions: object,
    rewards: object,
    allowed: object,
    states: LabelList | None,
    actions: LabelList | None,
    action_axis: int | None,
) -> Built:
    """Compress a model of any form; see `helicopter.core.MDP`."""
    if (
        type(transitions) is np.ndarray
        and type(rewards) is np.ndarray
        and transitions.ndim == 3
        and transitions.shape[0] == transitions.shape[2] != transitions.shape[1]
        and action_axis is None
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
    if all_sparse(transitions):
        return _from_matrices(backend, transitions, rewards, allowed, states, actions)
    return _from_dense(backend, transitions, rewards, allowed, states, actions, action_axis)


def _from_dense(
    backend: Backend,
    transitions: object,
    rewards: object,
    allowed: object,
    states: LabelList | None,
    actions: LabelList | None,
    action_axis: int | None,
) -> Built:
    given = as_numbers(transitions, "transitions", FORMS)
    if given.ndim != 3 or given.size == 0:
        refuse_shape("transitions", given.shape, FORMS)
    by_action = axis_of_actions(given.shape, action_axis, FORMS) == 0
    single = given.dtype.kind == "f" and given.dtype.itemsize < 8
    chances = np.ascontiguousarray(
        given.transpose(1, 0, 2) if by_action else given, dtype=np.float64
    )
    n_states, n_actions = chances.shape[:2]
    names = make_names(states, actions, n_states, n_actions)
    there = check_allowed(allowed, n_states, n_actions)
    paid = as_numbers(rewards, "rewards", reward_forms(given.shape, n_states, n_actions))
    paid = paid.astype(np.float64, copy=False)
    if paid.ndim == 3 and paid.shape == given.shape:
        paid = np.ascontiguousarray(paid.transpose(1, 0, 2) if by_action else paid)
    else:
        paid = per_pair(paid, n_states, n_actions, given.shape)
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
        diagnose_dense(chances, paid, there, names, tolerance)
    return Built(model, n_actions, names)


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
    start, columns, chances, (n_pairs, n_states), tolerance = as_csr(transitions, "transitions")
    of_state = as_indices(states, "states", n_pairs)
    of_action = as_indices(actions, "actions", n_pairs)
    most = int(of_action.max(initial=-1)) + 1
    if n_states == 0:
        refuse_shape("transitions", (n_pairs, n_states), "(L, S) with at least one state")
    n_actions = max(most if action_labels is None else len(action_labels), 1)
    names = make_names(state_labels, action_labels, n_states, n_actions)
    for numbers, bound, what in (
        (of_state, n_states, "state"),
        (of_action, n_actions, "action"),
    ):
        wrong = (numbers < 0) | (numbers >= bound)
        if wrong.any():
            (at,) = first_of(wrong)
            raise InvalidModelError(
                f"{what}s: pair {at} has {what} {numbers[at]}; expected a number from 0 to "
                f"{bound - 1}."
            )
    paid = rewards_of_rows(rewards, (n_pairs,), (n_pairs, n_states), start, columns)
    by_entry = hasattr(rewards, "tocsr")
    rows = Rows(
        n_states, n_actions, of_state, of_action, start, columns, chances, paid, by_entry, tolerance
    )
    return compress(backend, rows, names)


def _from_stacked(
    backend: Backend,
    transitions: object,
    rewards: object,
    allowed: object,
    states: LabelList | None,
    actions: LabelList | None,
) -> Built:
    start, columns, chances, (n_rows, n_states), tolerance = as_csr(transitions, "transitions")
    if n_states == 0 or n_rows == 0 or n_rows % n_states:
        refuse_shape("transitions", (n_rows, n_states), "(S * A, S) for a sparse matrix")
    n_actions = n_rows // n_states
    pair = np.arange(n_rows, dtype=np.int64)
    paid = rewards_of_rows(rewards, (n_states, n_actions), (n_rows, n_states), start, columns)
    rows = Rows(
        n_states,
        n_actions,
        pair // n_actions,
        pair % n_actions,
        start,
        columns,
        chances,
        paid,
        hasattr(rewards, "tocsr"),
        tolerance,
    )
    names = make_names(states, actions, n_states, n_actions)
    return compress(backend, _leave_out(rows, allowed), names)


def _from_matrices(
    backend: Backend,
    transitions: Any,
    rewards: object,
    allowed: object,
    states: LabelList | None,
    actions: LabelList | None,
) -> Built:
    parts = [as_csr(one, f"transitions[{number}]") for number, one in enumerate(transitions)]
    n_states, n_actions = parts[0][3][1], len(parts)
    for number, part in enumerate(parts):
        if part[3] != (n_states, n_states) or n_states == 0:
            refuse_shape(f"transitions[{number}]", part[3], f"({n_states}, {n_states})")
    start = starts_of(np.concatenate([np.diff(part[0]) for part in parts]))
    columns = np.concatenate([part[1] for part in parts])
    chances = np.concatenate([part[2] for part in parts])
    if all_sparse(rewards):
        from scipy import sparse

        amounts: Any = rewards
        if len(amounts) != n_actions or any(one.shape != (n_states,) * 2 for one in amounts):
            raise InvalidModelError(
                f"rewards: got {len(amounts)} matrices; expected {n_actions} of shape "
                f"{(n_states, n_states)}, one for each action."
            )
        rewards = sparse.vstack(amounts, format="csr")
    shape = (n_states, n_actions)
    by_entry = True
    if not hasattr(rewards, "tocsr"):
        table = as_numbers(rewards, "rewards", reward_forms(None, *shape)).astype(np.float64)
        if table.shape == (n_actions, n_states, n_states):
            row_of = np.repeat(np.arange(n_actions * n_states), np.diff(start))
            paid = table.reshape(-1, n_states)[row_of, columns]
        else:
            paid = np.ascontiguousarray(per_pair(table, *shape, None).T).ravel()
            by_entry = False
    else:
        whole = (n_actions * n_states, n_states)
        paid = rewards_of_rows(rewards, (n_actions * n_states,), whole, start, columns)
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
        by_entry,
        max(part[4] for part in parts),
    )
    names = make_names(states, actions, *shape)
    return compress(backend, _leave_out(rows, allowed), names)


def _from_tuples(
    backend: Backend,
    transitions: object,
    allowed: object,
    states: LabelList | None,
    actions: LabelList | None,
) -> Built:
    steps = check_steps(transitions)
    if allowed is not None:
        raise InvalidModelError(
            "allowed: a list of transitions has no use for it; leave out what is not allowed."
        )
    source, act, target, chance, reward = zip(*steps, strict=True)
    state_names, state_of = number_labels((*source, *target), states, "state", steps)
    action_names, action_of = number_labels(act, actions, "action", steps)
    n_states = len(state_of) if state_names is None else len(state_names)
    n_actions = len(action_of) if action_names is None else len(action_names)
    names = make_names(state_names, action_names, n_states, n_actions)
    from_state = np.array([state_of[label] for label in source], dtype=np.int64)
    with_action = np.array([action_of[label] for label in act], dtype=np.int64)
    columns = np.array([state_of[label] for label in target], dtype=np.int64)
    chances = as_column(chance, "probability")
    paid = as_column(reward, "reward")
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
        by_entry=True,
    )
    return compress(backend, rows, names)


def _leave_out(rows: Rows, allowed: object) -> Rows:
    there = check_allowed(allowed, rows.n_states, rows.n_actions)
    return rows if there is None else rows.only(there[rows.states, rows.actions])
