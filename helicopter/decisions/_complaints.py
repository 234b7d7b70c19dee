"""Says what is wrong with a decision model, and in which state and action."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import numpy as np

from helicopter.errors import InvalidModelError

from ._names import Names, first_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._rows import Rows

__all__ = ["diagnose_dense", "diagnose_rows", "refuse_shape"]


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
