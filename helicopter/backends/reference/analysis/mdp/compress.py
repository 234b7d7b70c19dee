"""From dense arrays or pairs in any order to compressed rows; None if something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter.backends.protocol import DecisionModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["compress_dense", "compress_rows"]

#: How far from one a row may add up.
ROW_SUM = 1e-9


def compress_dense(
    transitions: NDArray[np.float64],
    rewards: NDArray[np.float64],
    allowed: NDArray[np.bool_] | None,
) -> DecisionModel | None:
    """See `helicopter.backends.protocol.Backend.compress_dense`."""
    n_states, n_actions, _ = transitions.shape
    rows = transitions.reshape(n_states * n_actions, n_states)
    paid = rewards.reshape(n_states * n_actions, *rewards.shape[2:])
    pairs = np.arange(n_states * n_actions)
    if allowed is not None:
        pairs = np.flatnonzero(allowed)
        rows, paid = rows[pairs], paid[pairs]
    # written so that a NaN is wrong
    if not ((rows >= 0.0).all() and np.isfinite(paid).all() and _add_up(rows.sum(axis=1))):
        return None
    there = rows != 0.0
    row_start = _starts(np.count_nonzero(there, axis=1))
    chances = rows[there]
    if paid.ndim == 2:
        expected, low = _expected(row_start, chances, paid[there])
    else:
        expected, low = paid.copy(), np.zeros(len(pairs))
    return DecisionModel(
        _starts(np.bincount(pairs // n_actions, minlength=n_states)),
        (pairs % n_actions).astype(np.int32),
        row_start,
        np.nonzero(there)[1].astype(np.int32),
        chances,
        expected,
        low,
    )


def compress_rows(
    n_states: int,
    states: NDArray[np.int64],
    actions: NDArray[np.int64],
    row_start: NDArray[np.int64],
    columns: NDArray[np.int32] | NDArray[np.int64],
    probabilities: NDArray[np.float64],
    rewards: NDArray[np.float64],
    by_entry: bool = False,
) -> DecisionModel | None:
    """See `helicopter.backends.protocol.Backend.compress_rows`."""
    if not (
        _within(states, n_states)
        and _within(columns, n_states)
        and _within(actions, 2**31 - 1)
        and (probabilities >= 0.0).all()
        and np.isfinite(probabilities).all()
        and np.isfinite(rewards).all()
    ):
        return None
    key = states * (int(actions.max(initial=0)) + 1) + actions
    if not (key[1:] > key[:-1]).all():
        order = np.argsort(key, kind="stable")
        key = key[order]
        if (key[1:] == key[:-1]).any():
            return None
        entries, row_start = _entries_of(row_start, order)
        states, actions = states[order], actions[order]
        columns, probabilities = columns[entries], probabilities[entries]
        rewards = rewards[entries if by_entry else order]
    low = np.zeros(len(states))
    if by_entry:
        rewards, low = _expected(row_start, probabilities, rewards)
    row_start, columns, probabilities = _in_order(row_start, columns, probabilities, n_states)
    if (np.diff(row_start) == 0).any() or not _add_up(_sums(row_start, probabilities)):
        return None
    return DecisionModel(
        _starts(np.bincount(states, minlength=n_states)),
        actions.astype(np.int32),
        row_start,
        columns.astype(np.int32, copy=False),
        probabilities,
        rewards,
        low,
    )


def _within(numbers: NDArray[Any], bound: int) -> bool:
    return numbers.size == 0 or (int(numbers.min()) >= 0 and int(numbers.max()) < bound)


def _add_up(sums: NDArray[np.float64]) -> bool:
    return bool((np.abs(sums - 1.0) <= ROW_SUM).all())


def _starts(counts: NDArray[Any]) -> NDArray[np.int64]:
    start = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=start[1:])
    return start


def _sums(start: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over rows, of which none is empty."""
    if len(start) == 1:
        return np.zeros(0)
    return np.asarray(np.add.reduceat(values, start[:-1]))


def _entries_of(
    start: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the entries of these rows are, and the starts that the rows get."""
    counts = np.diff(start)[rows]
    new = _starts(counts)
    return np.repeat(start[rows] - new[:-1], counts) + np.arange(new[-1]), new


def _in_order(
    start: NDArray[np.int64],
    columns: NDArray[Any],
    chances: NDArray[np.float64],
    n_states: int,
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float64]]:
    """Sort the columns within each row, add up duplicates and drop zeros."""
    ascending = columns[1:] > columns[:-1]
    inner = start[1:-1]
    ascending[inner[(inner > 0) & (inner < len(columns))] - 1] = True
    if not ascending.all():
        row_of = np.repeat(np.arange(len(start) - 1), np.diff(start))
        cell = row_of * n_states + columns
        order = np.argsort(cell, kind="stable")
        cell, chances = cell[order], chances[order]
        first = np.flatnonzero(np.diff(cell, prepend=-1))
        cell, chances = cell[first], np.add.reduceat(chances, first)
        start = _starts(np.bincount(cell // n_states, minlength=len(start) - 1))
        columns = (cell % n_states).astype(np.int32)
    if not chances.all():
        keep = chances != 0.0
        kept = np.zeros(len(keep) + 1, dtype=np.int64)
        np.cumsum(keep, out=kept[1:])
        start, columns, chances = kept[start], columns[keep], chances[keep]
    return start, columns, chances


def _expected(
    start: NDArray[np.int64], chances: NDArray[np.float64], paid: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Expected rewards as sums of two float64, from rewards that depend on the next state.

    The products are split without error (Dekker 1971). What is added up to `high` is cut to a grid
    on which sums are exact (Rump, Ogita & Oishi 2008), so that only what falls below the grid is
    rounded, at most some 2^-100 of the largest product.
    """
    product = chances * paid
    error = _product_error(chances, paid, product)
    counts = np.diff(start)
    filled = np.flatnonzero(counts)
    high, low = np.zeros(len(counts)), np.zeros(len(counts))
    if len(filled) == 0:
        return high, low
    at = start[:-1][filled]
    largest = np.maximum.reduceat(np.abs(product), at)
    with np.errstate(over="ignore"):
        grid = np.exp2(np.ceil(np.log2(np.maximum(largest, 1e-250))) + 1) * 2.0 ** np.ceil(
            np.log2(counts[filled])
        )
    grid_of = np.repeat(grid, counts[filled])
    coarse = (product + grid_of) - grid_of
    first = np.add.reduceat(coarse, at)
    rest = np.add.reduceat((product - coarse) + error, at)
    total = first + rest
    high[filled], low[filled] = total, rest - (total - first)
    return high, low


def _product_error(
    a: NDArray[np.float64], b: NDArray[np.float64], product: NDArray[np.float64]
) -> NDArray[np.float64]:
    a_high, b_high = _upper_half(a), _upper_half(b)
    a_low, b_low = a - a_high, b - b_high
    return np.asarray(
        a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    )


def _upper_half(a: NDArray[np.float64]) -> NDArray[np.float64]:
    wide = a * 134217729.0  # 2^27 + 1
    return np.asarray(wide - (wide - a))
