"""Random decision models for `decisions.py`, by family, size and seed.

All but `garnet` and `dense` mix slowly: a walk from one part of the model to another takes far
more steps than the discount looks ahead, and what happens in one part is no news to the others.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

if TYPE_CHECKING:
    from collections.abc import Callable

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Model(NamedTuple):
    """Pairs of a state and an action, sorted; row i of `transitions` is where pair i leads."""

    n_states: int
    states: Ints
    actions: Ints
    transitions: csr_array
    rewards: Floats


def _model(
    n_states: int, states: Ints, actions: Ints, columns: Any, probabilities: Any, rewards: Floats
) -> Model:
    """Make a model of as many entries in every row; entries on one column are added up."""
    rows = np.repeat(np.arange(len(states)), columns.shape[1])
    shape = (len(states), n_states)
    entries = coo_array((probabilities.ravel(), (rows, columns.ravel())), shape=shape)
    transitions = csr_array(entries)
    transitions.sum_duplicates()
    transitions.eliminate_zeros()
    return Model(n_states, states, actions, transitions, rewards)


def _product(n_states: int, n_actions: int) -> tuple[Ints, Ints]:
    states = np.repeat(np.arange(n_states), n_actions)
    return states, np.tile(np.arange(n_actions), n_states)


def garnet(n_states: int, seed: int, n_actions: int = 4, n_successors: int = 5) -> Model:
    """Successors at random, without repetition; rewards of a normal distribution. Mixes at once."""
    rng = np.random.default_rng([1, n_states, seed])
    states, actions = _product(n_states, n_actions)
    columns = np.sort(rng.integers(n_states, size=(len(states), n_successors)), axis=1)
    while len(again := np.flatnonzero((np.diff(columns, axis=1) == 0).any(axis=1))):
        columns[again] = np.sort(rng.integers(n_states, size=(len(again), n_successors)), axis=1)
    weights = rng.exponential(size=columns.shape)
    weights /= weights.sum(axis=1, keepdims=True)
    indptr = np.arange(len(states) + 1) * n_successors
    transitions = csr_array(
        (weights.ravel(), columns.ravel().astype(np.int32), indptr.astype(np.int32)),
        shape=(len(states), n_states),
    )
    return Model(n_states, states, actions, transitions, rng.normal(size=len(states)))


def dense(n_states: int, seed: int, n_actions: int = 4) -> Model:
    """Every state can follow on every pair."""
    rng = np.random.default_rng([2, n_states, seed])
    states, actions = _product(n_states, n_actions)
    weights = rng.exponential(size=(len(states), n_states))
    weights /= weights.sum(axis=1, keepdims=True)
    return Model(n_states, states, actions, csr_array(weights), rng.normal(size=len(states)))


def chain(n_states: int, seed: int) -> Model:
    """Return a line: step left, step right or stay; a move that slips goes to either neighbour.

    A reward at each end, rewards of any sign at some places between, and moving costs a little.
    """
    rng = np.random.default_rng([3, n_states, seed])
    states, actions = _product(n_states, 3)
    slip = rng.uniform(0.1, 0.3, len(states)) / 2
    columns = np.clip(states[:, None] + [-1, 0, 1], 0, n_states - 1)
    probabilities = np.stack([slip, np.zeros_like(slip), slip], axis=1)
    probabilities[np.arange(len(states)), actions] += 1 - 2 * slip
    at = np.where(rng.random(n_states) < 0.01, rng.normal(size=n_states), 0.0)
    at[[0, -1]] = 1.0, 2.0
    rewards = at[states] - rng.uniform(0, 0.02, len(states)) * (actions != 1)
    return _model(n_states, states, actions, columns, probabilities, rewards)


def grid(n_states: int, seed: int) -> Model:
    """Return a square of (nearly) so many cells, four moves; walls stop, a slip goes to a side.

    Rewards at a few places away from the walls (one where a wall helps to stay would outdo the
    others), costs of every cell elsewhere.
    """
    rng = np.random.default_rng([4, n_states, seed])
    side = math.isqrt(n_states)
    n_states = side * side
    states, actions = _product(n_states, 4)
    y, x = np.divmod(states, side)
    moves = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])
    columns = np.empty((len(states), 3), dtype=np.int64)
    for place, turn in enumerate((0, 1, 3)):  # ahead, to the right, to the left
        step = moves[(actions + turn) % 4]
        to_y, to_x = (np.clip(a + d, 0, side - 1) for a, d in ((y, step[:, 0]), (x, step[:, 1])))
        columns[:, place] = to_y * side + to_x
    probabilities = np.broadcast_to([0.8, 0.1, 0.1], columns.shape)
    at = -rng.uniform(0, 0.05, n_states)
    inside = np.arange(n_states).reshape(side, side)[1:-1, 1:-1].ravel()
    few = rng.choice(inside, max(1, n_states // 500), replace=False)
    at[few] = rng.uniform(0.2, 1, len(few))
    return _model(n_states, states, actions, columns, probabilities, at[states])


def small_world(n_states: int, seed: int, neighbours: int = 4, rewired: float = 0.01) -> Model:
    """Return a ring of Watts and Strogatz: an action prefers one of the neighbours.

    A share of the edges is rewired to anywhere; the other neighbours share what is left.
    """
    rng = np.random.default_rng([5, n_states, seed])
    half = neighbours // 2
    offsets = np.array([*range(-half, 0), *range(1, half + 1)])
    successors = (np.arange(n_states)[:, None] + offsets) % n_states
    shortcut = rng.random(successors.shape) < rewired
    successors[shortcut] = rng.integers(n_states, size=int(shortcut.sum()))
    states, actions = _product(n_states, neighbours)
    other = rng.uniform(0.05, 0.1, len(states))
    probabilities = np.repeat(other[:, None], neighbours, axis=1)
    probabilities[np.arange(len(states)), actions] = 1 - (neighbours - 1) * other
    rewards = rng.normal(size=n_states)[states] - rng.uniform(0, 0.05, len(states))
    return _model(n_states, states, actions, successors[states], probabilities, rewards)


LEVELS = 101


def ladder(n_states: int, seed: int, levels: int = LEVELS) -> Model:
    """Cases one after the other, each with a ladder of evidence (log-odds from -8 to 8).

    A look costs something and moves one rung up or down, as likely as the evidence so far says.
    Accepting pays if the case is true and costs a lot if not, rejecting costs a little; after both
    the next case begins, in the middle of its own ladder. Of (nearly) so many states.
    """
    rng = np.random.default_rng([6, n_states, seed])
    levels = min(levels, n_states | 1)
    cases = max(1, round(n_states / levels))
    n_states = cases * levels
    states, actions = _product(n_states, 3)  # look, accept, reject
    case, rung = np.divmod(states, levels)
    log_odds = 8 * (2 * rung / (levels - 1) - 1)
    accuracy = 1 / (1 + math.exp(-16 / (levels - 1)))  # one rung is one look's worth
    true = 1 / (1 + np.exp(-log_odds))
    up = true * accuracy + (1 - true) * (1 - accuracy)
    fresh = (case + 1) % cases * levels + levels // 2
    looks = actions == 0
    columns = np.stack([fresh, fresh], axis=1)
    columns[looks, 0] = (case * levels + np.maximum(rung - 1, 0))[looks]
    columns[looks, 1] = (case * levels + np.minimum(rung + 1, levels - 1))[looks]
    probabilities = np.stack([1 - up, up], axis=1)
    probabilities[~looks] = 1.0, 0.0
    cost, gain, loss, dropped = rng.uniform(
        [[1e-4], [0.5], [5.0], [0.5]], [[1e-3], [2.0], [50.0], [1.0]], (4, cases)
    )
    accept = true * gain[case] - (1 - true) * loss[case]
    rewards = np.select([looks, actions == 1], [-cost[case], accept], -dropped[case])
    return _model(n_states, states, actions, columns, probabilities, rewards)


FAMILIES: dict[str, Callable[[int, int], Model]] = {
    "garnet": garnet,
    "chain": chain,
    "grid": grid,
    "small_world": small_world,
    "ladder": ladder,
    "dense": dense,
}
SLOW = ("chain", "grid", "small_world", "ladder")
