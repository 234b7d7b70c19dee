"""Small random models that are hard to enclose, for `enclosure.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rational import Row, row
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from collections.abc import Callable

    from helicopter.core import MDP

Floats = NDArray[np.float64]
METHODS = ("auto", "value_iteration", "policy_iteration", "modified_policy_iteration")


class Case(NamedTuple):
    """A model in the arrays that it was made of, and in which form it is handed over."""

    transitions: Floats  # (S, A, S)
    rewards: Floats  # (S, A) or (S, A, S)
    allowed: NDArray[np.bool_]  # (S, A)
    discount: float
    form: str
    method: Any  # one of METHODS
    epsilon: float


# -- rows of probabilities ---------------------------------------------------------------------


def _certain(rng: np.random.Generator, n: int) -> Floats:
    found = np.zeros(n)
    found[rng.integers(n)] = 1.0
    return found


def _everywhere(rng: np.random.Generator, n: int) -> Floats:
    return rng.dirichlet(np.full(n, rng.choice([0.1, 1.0, 10.0])))


def _few(rng: np.random.Generator, n: int) -> Floats:
    weights = rng.random(n) * (rng.random(n) < 0.4)
    weights[rng.integers(n)] += rng.random() + 0.01
    weights /= weights.sum()
    return weights


def _eighths(rng: np.random.Generator, n: int) -> Floats:
    return rng.multinomial(8, np.full(n, 1 / n)) / 8.0


def _tiny(rng: np.random.Generator, n: int) -> Floats:
    """Nearly certain, with something very unlikely besides."""
    found = np.zeros(n)
    small = 10.0 ** -(rng.uniform(3, 20) if rng.random() < 0.8 else rng.uniform(20, 305))
    found[rng.integers(n)] = small
    found[rng.integers(n)] += 1.0 - small
    return found


def _loose(rng: np.random.Generator, n: int) -> Floats:
    """Add up to one only within what is accepted."""
    return _few(rng, n) * (1 + rng.uniform(-5e-10, 5e-10))


KINDS: tuple[Callable[[np.random.Generator, int], Floats], ...] = (
    _certain,
    _everywhere,
    _few,
    _eighths,
    _tiny,
)


# -- models ------------------------------------------------------------------------------------


def _discount(rng: np.random.Generator) -> float:
    kind = rng.integers(5)
    if kind == 0:
        return float(rng.uniform(0.01, 0.99))
    if kind == 1:
        return float(10.0 ** -rng.uniform(0.01, 9))
    if kind == 2:
        return float(rng.choice([0.5, 0.9, 0.95, 0.99, 0.999, 0.9999]))
    return float(min(1 - 10.0 ** -rng.uniform(0.5, 4), 0.9999))


def _rewards(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    scale = float(10.0 ** rng.uniform(-3, 6))
    kind = rng.integers(5)
    if kind == 0:  # ties
        return rng.integers(-2, 3, shape).astype(float) * round(scale, 3)
    if kind == 1:  # few, large
        return np.where(rng.random(shape) < 0.15, rng.uniform(-scale, scale, shape), 0.0)
    if kind == 2:  # of all sizes
        sizes: Floats = 10.0 ** rng.uniform(-9, 6, shape)
        return np.where(rng.random(shape) < 0.5, sizes, -sizes)
    if kind == 3:  # far from zero, close to each other
        offsets: Floats = rng.uniform(-1e-6, 1e-6, shape)
        return scale + offsets
    return rng.uniform(-scale, scale, shape)


def _duplicates(rng: np.random.Generator, transitions: Floats, rewards: Floats) -> None:
    """Sometimes make one state behave like another, and one action like another."""
    n, m = transitions.shape[:2]
    if n > 1 and rng.random() < 0.2:
        a, b = rng.choice(n, 2, replace=False)
        transitions[a], rewards[a] = transitions[b], rewards[b]
    if m > 1 and rng.random() < 0.2:
        a, b = rng.choice(m, 2, replace=False)
        transitions[:, a], rewards[:, a] = transitions[:, b], rewards[:, b]


def _absorb(transitions: Floats, state: int) -> None:
    transitions[state] = 0.0
    transitions[state, :, state] = 1.0


def _proper(rng: np.random.Generator, transitions: Floats, rewards: Floats, ends: int) -> None:
    """Let every action lead on, in some order of the states: the first `ends` of them are ends."""
    n, m = transitions.shape[:2]
    order = rng.permutation(n)
    for place, state in enumerate(order):
        if place < ends:
            _absorb(transitions, state)
            rewards[state] = 0.0
            continue
        for action in range(m):
            on = 10.0 ** -rng.uniform(0, 0.5 if rng.random() < 0.7 else 2.5)
            line = transitions[state, action] * (1 - on)
            line[order[rng.integers(place)]] += on
            transitions[state, action] = line


def random_case(seed: int, number: int) -> Case:
    """Return model `number` of a seed."""
    rng = np.random.default_rng([7, seed, number])
    n, m = int(rng.integers(1, 9)), int(rng.integers(1, 5))
    kinds = KINDS if rng.random() < 0.7 else (KINDS[rng.integers(len(KINDS))],)
    lines = [kinds[rng.integers(len(kinds))](rng, n) for _ in range(n * m)]
    transitions = np.array(lines).reshape(n, m, n)
    rewards = _rewards(rng, (n, m, n) if rng.random() < 0.3 else (n, m))
    allowed = np.ones((n, m), dtype=bool)
    if rng.random() < 0.4:
        allowed = rng.random((n, m)) < 0.7
    proper = rng.random() < 0.15
    discount = 1.0 if proper else _discount(rng)
    if proper:
        ends = int(rng.integers(1, 2 + n // 2)) if rng.random() < 0.9 else n
        _proper(rng, transitions, rewards, ends)
    else:
        if rng.random() < 0.05:
            transitions[0, 0] = _loose(rng, n)
        _duplicates(rng, transitions, rewards)
        for state in np.flatnonzero(rng.random(n) < 0.1).tolist():
            _absorb(transitions, state)
            if rng.random() < 0.5:
                rewards[state] = 0.0
        if n > 1 and rng.random() < 0.15:  # nothing can be done at all
            allowed[rng.integers(n)] = False
    if not allowed.any():
        allowed[0, 0] = True
    forms = ["pairs", "tuples", "dense" if allowed.all() else "masked", "infinite"]
    if allowed.all():
        forms += ["matrices", "stacked"] + ["by action"] * (n != m)
    if rewards.ndim == 3:
        forms = [form for form in forms if form not in ("infinite", "stacked", "matrices")]
    form, method = str(rng.choice(forms)), METHODS[rng.integers(len(METHODS))]
    return Case(
        transitions, rewards, allowed, discount, form, method, float(10.0 ** -rng.uniform(1, 10))
    )


# -- the two views of a model ------------------------------------------------------------------


def exact_rows(case: Case) -> list[list[Row]]:
    """Return the model for `rational.solve`; without a discount, idle states are terminal."""
    n, m = case.allowed.shape
    rows: list[list[Row]] = []
    rewards = case.rewards
    if case.form == "tuples" and rewards.ndim == 2:
        # each carries its own reward: then a row earns as much more as it adds up to more than one
        rewards = np.broadcast_to(rewards[:, :, None], case.transitions.shape)
    for s in range(n):
        if case.discount == 1.0 and _idle(case, s):
            rows.append([])
            continue
        these = []
        for a in (a for a in range(m) if case.allowed[s, a]):
            line = case.transitions[s, a].tolist()
            reward = rewards[s, a].tolist()
            these.append(row(a, case.discount, enumerate(line), reward))
        rows.append(these)
    return rows


def _idle(case: Case, state: int) -> bool:
    stays = case.transitions[state, :, state] == 1.0
    return bool((stays & ~np.any(case.rewards[state].reshape(len(stays), -1), axis=1)).all())


def hand_over(case: Case, **options: Any) -> MDP:
    """Make the model that is under test, in the form that the case asks for."""
    from helicopter.core import MDP

    p, r, allowed = case.transitions, case.rewards, case.allowed
    n, m = allowed.shape
    match case.form:
        case "dense":
            return MDP(p, r, case.discount, **options)
        case "by action":
            r = r if r.ndim == 2 else r.transpose(1, 0, 2)
            return MDP(p.transpose(1, 0, 2), r, case.discount, **options)
        case "masked":
            return MDP(p, r, case.discount, allowed=allowed, **options)
        case "infinite":
            return MDP(p, np.where(allowed, r, -np.inf), case.discount, **options)
        case "matrices":
            return MDP([csr_array(p[:, a]) for a in range(m)], r, case.discount, **options)
        case "stacked":
            return MDP(csr_array(p.reshape(n * m, n)), r, case.discount, **options)
    states, actions = np.nonzero(allowed)
    if case.form == "pairs":
        chosen = csr_array(r[states, actions]) if r.ndim == 3 else r[states, actions]
        given = states, actions, csr_array(p[states, actions]), chosen, case.discount
        return MDP.from_pairs(*given, **options)
    tuples = [
        (int(s), int(a), int(t), float(p[s, a, t]), float(r[s, a] if r.ndim == 2 else r[s, a, t]))
        for s, a in zip(states, actions, strict=True)
        for t in np.flatnonzero(p[s, a])
    ]
    return MDP(tuples, discount=case.discount, **options)
