"""The best average reward from each state, for models of any structure.

Whatever the policy, the process ends up in an end component or a terminal state (de Alfaro 1997).
Within a largest end component every state can be reached from every other, so its best gain is the
same from all its states, and a backend finds it. What is left is to get to the best of them, which
is a problem of total reward: each component becomes a single state, from which one may stop for its
gain, or leave by any pair that leads out of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter.backends.protocol import DecisionModel, MdpRun

from .mdp_structure import end_components, keep_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Progress
    from helicopter.backends.protocol import Backend

    from .mdp_structure import Components

__all__ = ["solve_average"]

#: Largest relative error of a rounding.
UNIT = 2.0**-53


def solve_average(
    backend: Backend,
    model: DecisionModel,
    epsilon: float,
    limit: int | None,
    progress: Progress | None,
) -> tuple[MdpRun, NDArray[np.float64]]:
    """Enclose the gain from each state; also return the relative values of the policy.

    Rows of the model are divided by their sums: over an unlimited time nothing else has a meaning.
    """
    n_states = len(model.pair_start) - 1
    found = end_components(model)
    runs = [
        backend.solve_average(part, epsilon / 4.0, limit, progress) for part in _parts(model, found)
    ]
    terminal = np.flatnonzero(np.diff(model.pair_start) == 0)
    low = np.array([run.gain_low for run in runs])
    high = np.array([run.gain_high for run in runs])
    policy = np.full(n_states, -1, dtype=np.int64)
    gain, bias = np.zeros(n_states), np.zeros(n_states)
    for members, run in zip(_members(found), runs, strict=True):
        policy[members], bias[members] = run.policy, run.bias
        gain[members] = 0.5 * run.gain_low + 0.5 * run.gain_high
    iterations = sum(run.iterations for run in runs)
    if len(runs) + len(terminal) == 1 and bool((found.label >= 0).all()):
        lower, upper = np.full(n_states, low[0]), np.full(n_states, high[0])
    else:
        lower, upper, stays, more = _reach(backend, model, found, low, high, epsilon / 2.0, policy)
        iterations += more
        known = np.append(stays, False)[found.label]  # -1: in none
        known[terminal] = True
        if not known.all():
            _along(backend, model, policy, known, gain, bias)
    value = 0.5 * lower + 0.5 * upper
    with np.errstate(invalid="ignore"):
        width = float((upper - lower).max())
    converged = bool(width <= epsilon)
    whole = MdpRun(value, lower, upper, policy, iterations, "average_reward", converged)
    return whole, bias


def _parts(model: DecisionModel, found: Components) -> list[DecisionModel]:
    """The end components as models of their own."""
    if found.number == 0:
        return []
    inner = keep_pairs(model, found.inside)
    if found.number == 1 and bool((found.label >= 0).all()):
        return [inner]
    position = np.empty(len(found.label), dtype=np.int32)  # of a state within its component
    parts = []
    for states in _members(found):
        position[states] = np.arange(len(states), dtype=np.int32)
        parts.append(_part(inner, states, position))
    return parts


def _members(found: Components) -> list[NDArray[np.int64]]:
    """The states of each component."""
    order = np.argsort(found.label, kind="stable")
    ends = np.searchsorted(found.label[order], np.arange(found.number + 1))
    return [order[ends[number] : ends[number + 1]] for number in range(found.number)]


def _part(
    model: DecisionModel, states: NDArray[np.int64], position: NDArray[np.int32]
) -> DecisionModel:
    pairs, pair_start = _ranges(model.pair_start, states)
    entries, row_start = _ranges(model.row_start, pairs)
    return DecisionModel(
        pair_start,
        model.actions[pairs],
        row_start,
        position[model.columns[entries]],
        model.probabilities[entries],
        model.rewards[pairs],
        model.rewards_low[pairs],
    )


def _ranges(
    start: NDArray[np.int64], chosen: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    counts = start[chosen + 1] - start[chosen]
    ends = np.zeros(len(chosen) + 1, dtype=np.int64)
    np.cumsum(counts, out=ends[1:])
    return np.repeat(start[chosen] - ends[:-1], counts) + np.arange(ends[-1]), ends


def _reach(
    backend: Backend,
    model: DecisionModel,
    found: Components,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    epsilon: float,
    policy: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], int]:
    """Bounds on the gain from each state, which components are never left, and iterations.

    Fills in the policy on the way to the best component.

    The model that is solved pays `low` for stopping, so that what it earns is earned. Its optimal
    value, plus the largest difference of `high` and `low`, is at least the best gain, since all the
    probabilities of stopping add up to one. Rows that do not quite add up to one are off by at most
    `surplus` of what comes after them, as often as there are steps: that is bounded, too.
    """
    n_states = len(model.pair_start) - 1
    state_of = np.repeat(np.arange(n_states), np.diff(model.pair_start))
    node = np.where(found.label >= 0, found.label, 0)
    outside = np.flatnonzero(found.label < 0)
    node[outside] = found.number + np.arange(len(outside))
    n_nodes = found.number + len(outside)
    leaving = np.flatnonzero(~found.inside)
    entries, row_start = _ranges(model.row_start, leaving)
    # one pair of each component stops: its row leads to a terminal node, the last one
    n_pairs = len(leaving)
    quotient = backend.compress_rows(
        n_nodes + 1,
        np.concatenate([node[state_of[leaving]], np.arange(found.number)]),
        np.concatenate([np.arange(n_pairs) + 1, np.zeros(found.number, dtype=np.int64)]),
        np.concatenate([row_start, row_start[-1] + 1 + np.arange(found.number)]),
        np.concatenate([node[model.columns[entries]], np.full(found.number, n_nodes)]),
        np.concatenate([model.probabilities[entries], np.ones(found.number)]),
        np.concatenate([np.zeros(n_pairs), low]),
    )
    assert quotient is not None  # made of a model that is valid
    run = backend.solve_mdp(quotient, 1.0, "auto", epsilon / 4.0, None, None)
    n_rows = len(quotient.actions)
    counting = DecisionModel(
        quotient.pair_start,
        quotient.actions,
        quotient.row_start,
        quotient.columns,
        quotient.probabilities,
        np.ones(n_rows),
        np.zeros(n_rows),
    )
    steps = float(backend.solve_mdp(counting, 1.0, "auto", 0.5, None, None).upper.max(initial=0.0))
    largest = float(np.maximum(np.abs(run.lower), np.abs(run.upper)).max(initial=0.0))
    longest = int(np.diff(quotient.row_start).max(initial=1))
    sums = np.add.reduceat(quotient.probabilities, quotient.row_start[:-1])
    surplus = float(np.abs(sums - 1.0).max(initial=0.0)) + longest * UNIT
    loose = 2.0 * surplus * steps * largest
    wider = float(np.max(high - low, initial=0.0))
    lower = np.nextafter(run.lower - loose, -np.inf)[node]
    upper = np.nextafter(run.upper + np.nextafter(wider + loose, np.inf), np.inf)[node]
    # where the best is to leave a component, do so by that pair, and get to it from all its states
    for number in range(found.number):
        chosen = int(run.policy[number])
        if chosen > 0:
            pair = int(leaving[chosen - 1])
            _lead_to(model, found, number, int(state_of[pair]), policy)
            policy[state_of[pair]] = model.actions[pair]
    chosen_pairs = run.policy[node[outside]]
    some = chosen_pairs > 0
    policy[outside[some]] = model.actions[leaving[chosen_pairs[some] - 1]]
    terminal = np.diff(model.pair_start) == 0
    lower[terminal] = upper[terminal] = 0.0
    return lower, upper, run.policy[: found.number] <= 0, run.iterations


def _lead_to(
    model: DecisionModel,
    found: Components,
    number: int,
    target: int,
    policy: NDArray[np.int64],
) -> None:
    """Within a component, choose actions that lead to one of its states."""
    members = np.flatnonzero(found.label == number)
    position = np.zeros(len(found.label), dtype=np.int32)
    position[members] = np.arange(len(members), dtype=np.int32)
    part = _part(keep_pairs(model, found.inside), members, position)
    state_of = np.repeat(np.arange(len(members)), np.diff(part.pair_start))
    pair_of = np.repeat(np.arange(len(part.actions)), np.diff(part.row_start))
    reached = members == target
    while True:
        nearer = np.zeros(len(part.actions), dtype=bool)
        nearer[pair_of[reached[part.columns]]] = True
        nearer &= ~reached[state_of]
        states, first = np.unique(state_of[nearer], return_index=True)
        if len(states) == 0:
            return
        policy[members[states]] = part.actions[np.flatnonzero(nearer)[first]]
        reached[states] = True


def _along(
    backend: Backend,
    model: DecisionModel,
    policy: NDArray[np.int64],
    known: NDArray[np.bool_],
    gain: NDArray[np.float64],
    bias: NDArray[np.float64],
) -> None:
    """Fill in gain and bias of a policy where they are not known, from where they are, in place.

    Both are what is collected on the way to known states (Puterman 1994, section 8.2): the gain
    there, and then reward - gain, and the bias there. The policy comes to known states for sure.
    """
    n_states = len(model.pair_start) - 1
    state_of = np.repeat(np.arange(n_states), np.diff(model.pair_start))
    pairs = np.flatnonzero((model.actions == policy[state_of]) & ~known[state_of])
    states = state_of[pairs]
    entries, row_start = _ranges(model.row_start, pairs)
    row_of = np.repeat(np.arange(len(pairs)), np.diff(row_start))
    columns, chances = model.columns[entries], model.probabilities[entries]
    chances = chances / np.bincount(row_of, chances, len(pairs))[row_of]
    # all known states in one, the last
    number = np.full(n_states, len(states), dtype=np.int64)
    number[states] = np.arange(len(states))
    there = known[columns]

    def collected(paid: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
        paid = paid + np.bincount(row_of[there], (chances * after[columns])[there], len(pairs))
        walk = backend.compress_rows(
            len(states) + 1,
            np.arange(len(states)),
            np.zeros(len(states), dtype=np.int64),
            row_start,
            number[columns],
            chances,
            paid,
        )
        assert walk is not None  # made of a model that is valid
        near = 1e-12 * max(float(np.abs(paid).max()), 1e-280)
        return backend.solve_mdp(walk, 1.0, "auto", near, None, None).value[:-1]

    gain[states] = collected(np.zeros(len(pairs)), gain)
    paid = model.rewards[pairs] + model.rewards_low[pairs]
    bias[states] = collected(paid - gain[states], bias)
