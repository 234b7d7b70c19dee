"""Pairs of a state and an action in any order, and how a backend compresses them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ._complaints import diagnose_rows
from ._names import ROW_SUM, Names, starts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.backends.protocol import Backend, DecisionModel

__all__ = ["Built", "Rows", "compress"]


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
