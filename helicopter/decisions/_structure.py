"""Where a policy can stay for ever: the end components of a decision model.

An end component is a set of states with, in each, at least one action that keeps within the set,
and from each a way to each other by such actions (de Alfaro 1997; Baier & Katoen 2008, section
10.6.3). Whatever the policy, the process ends up in one, or in a terminal state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter.backends.protocol import DecisionModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["proper_part", "with_idle_actions"]


def _in_end_components(model: DecisionModel) -> NDArray[np.bool_]:
    """Say of each pair whether it keeps within one of the largest end components.

    Pairs that leave a strongly connected component cannot keep within it and are dropped, then what
    cannot but come to states without pairs, until nothing more is dropped.
    """
    from scipy import sparse
    from scipy.sparse import csgraph

    n_states, n_pairs = len(model.pair_start) - 1, len(model.actions)
    state_of = np.repeat(np.arange(n_states), np.diff(model.pair_start))
    pair_of = np.repeat(np.arange(n_pairs), np.diff(model.row_start))
    left = np.diff(model.pair_start)  # number of pairs still there in each state
    alive = np.ones(n_pairs, dtype=bool)
    incoming = sparse.csc_array(
        sparse.csr_array(
            (np.ones(len(pair_of), dtype=np.int8), model.columns, model.row_start),
            shape=(n_pairs, n_states),
        )
    )
    _drop(np.flatnonzero(left == 0), left, alive, incoming, state_of)
    while alive.any():
        entries = alive[pair_of]
        edges = sparse.csr_array(
            (
                np.ones(int(entries.sum()), dtype=np.int8),
                (state_of[pair_of[entries]], model.columns[entries]),
            ),
            shape=(n_states, n_states),
        )
        _, label = csgraph.connected_components(edges, directed=True, connection="strong")
        leaves = label[model.columns] != label[state_of[pair_of]]
        leaving = np.zeros(n_pairs, dtype=bool)
        leaving[pair_of[leaves & entries]] = True
        if not leaving.any():
            break
        alive &= ~leaving
        left -= np.bincount(state_of[leaving], minlength=n_states)
        gone = np.unique(state_of[leaving])
        _drop(gone[left[gone] == 0], left, alive, incoming, state_of)
    return alive


def _drop(
    frontier: NDArray[np.int64],
    left: NDArray[np.int64],
    alive: NDArray[np.bool_],
    incoming: Any,
    state_of: NDArray[np.int64],
) -> None:
    """Drop the pairs that may lead into these states, and so on, in place."""
    start, rows = incoming.indptr, incoming.indices
    while len(frontier):
        counts = start[frontier + 1] - start[frontier]
        ends = np.cumsum(counts)
        total = int(ends[-1])
        at = np.repeat(start[frontier] - (ends - counts), counts) + np.arange(total)
        pairs = rows[at]
        pairs = np.unique(pairs[alive[pairs]])
        alive[pairs] = False
        states, lost = np.unique(state_of[pairs], return_counts=True)
        left[states] -= lost
        frontier = states[left[states] == 0]


def _keep_pairs(model: DecisionModel, keep: NDArray[np.bool_]) -> DecisionModel:
    """Leave out pairs; states that have none left become terminal."""
    state_of = np.repeat(np.arange(len(model.pair_start) - 1), np.diff(model.pair_start))
    entries = np.repeat(keep, np.diff(model.row_start))
    return DecisionModel(
        _starts(np.bincount(state_of[keep], minlength=len(model.pair_start) - 1)),
        model.actions[keep],
        _starts(np.diff(model.row_start)[keep]),
        model.columns[entries],
        model.probabilities[entries],
        model.rewards[keep],
        model.rewards_low[keep],
    )


def proper_part(model: DecisionModel) -> tuple[DecisionModel, tuple[int, int] | None]:
    """Make absorbing states of reward zero terminal; say who can go on for ever after that.

    Returns
    -------
    DecisionModel, and a state and an action of an end component, or None if there is none
    """
    n_states = len(model.pair_start) - 1
    state_of = np.repeat(np.arange(n_states), np.diff(model.pair_start))
    stays = np.diff(model.row_start) == 1
    stays &= model.columns[model.row_start[:-1]] == state_of
    stays &= (model.rewards == 0.0) & (model.rewards_low == 0.0)
    moving = np.bincount(state_of[~stays], minlength=n_states)
    idle = (moving == 0)[state_of]
    proper = _keep_pairs(model, ~idle) if idle.any() else model
    inside = _in_end_components(proper)
    if not inside.any():
        return proper, None
    pair = int(np.argmax(inside))
    state = int(np.searchsorted(proper.pair_start, pair, side="right")) - 1
    return proper, (state, int(proper.actions[pair]))


def with_idle_actions(model: DecisionModel, policy: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give states that have actions, but were taken for terminal, their first action."""
    first = np.full(len(policy), -1, dtype=np.int64)
    some = np.flatnonzero(np.diff(model.pair_start))
    first[some] = model.actions[model.pair_start[some]]
    return np.where(policy < 0, first, policy)


def _starts(counts: NDArray[Any]) -> NDArray[np.int64]:
    start = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=start[1:])
    return start
