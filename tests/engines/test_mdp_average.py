"""The best average reward, from every state of models of every structure."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rational_mdp import rational_rows, solve_linear
from scipy.sparse import csr_array

from helicopter.errors import ConvergenceError


def gain_of(rows, choice):
    """Gain of a policy from each state, exactly; rows divided by their sums."""
    size = len(rows)
    chances = [[Fraction(0)] * size for _ in range(size)]
    paid = [Fraction(0)] * size
    for state, pairs in enumerate(rows):
        if not pairs:
            chances[state][state] = Fraction(1)
            continue
        _, row, paid[state] = pairs[choice[state]]
        for target, chance in row.items():
            chances[state][target] = chance / sum(row.values())
    reach = [[i == j or chances[i][j] > 0 for j in range(size)] for i in range(size)]
    for k, i, j in itertools.product(range(size), repeat=3):
        reach[i][j] |= reach[i][k] and reach[k][j]
    gain = [None] * size
    for state in range(size):
        members = [j for j in range(size) if reach[state][j]]
        if gain[state] is not None or not all(reach[j][state] for j in members):
            continue
        # stationary: one equation replaced by the sum
        matrix = [
            [chances[j][i] - (i == j) for j in members] if i != members[0] else [1] * len(members)
            for i in members
        ]
        share = solve_linear(matrix, [Fraction(int(i == members[0])) for i in members])
        for j in members:
            gain[j] = sum(p * paid[k] for p, k in zip(share, members, strict=True))
    transient = [j for j in range(size) if gain[j] is None]
    if transient:
        matrix = [[(i == j) - chances[i][j] for j in transient] for i in transient]
        right = [
            sum(chances[i][j] * gain[j] for j in range(size) if gain[j] is not None)
            for i in transient
        ]
        for j, value in zip(transient, solve_linear(matrix, right), strict=True):
            gain[j] = value
    return gain


def best_gain(rows):
    """The best over all policies, by trying them all."""
    choices = itertools.product(*[range(max(len(pairs), 1)) for pairs in rows])
    gains = [gain_of(rows, choice) for choice in choices]
    return [max(column) for column in zip(*gains, strict=True)]


@st.composite
def models(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_states = draw(st.integers(1, 5))
    counts = rng.integers(draw(st.integers(0, 1)), 3, size=n_states)
    steps = [(n_states - 1, 0, n_states - 1, 1, float(rng.integers(-3, 4)))]
    for state in range(n_states - 1):
        for action in range(counts[state]):
            targets = rng.choice(
                n_states, size=rng.integers(1, min(3, n_states) + 1), replace=False
            )
            weights = rng.integers(1, 5, size=len(targets))
            for target, weight in zip(targets, weights, strict=True):
                chance = float(weight / weights.sum())
                steps.append((state, action, int(target), chance, float(rng.integers(-3, 4))))
    return steps


@settings(max_examples=60)
@given(models())
def test_the_best_gain_is_enclosed(mdp, steps):
    made = mdp(steps)
    solution = made.solve("average_reward", 1e-9)
    rows = rational_rows(made._model)
    for state, exact in enumerate(best_gain(rows)):
        assert Fraction(float(solution.lower[state])) <= exact
        assert exact <= Fraction(float(solution.upper[state]))
    assert solution.width <= 1e-9
    numbers = [[action for action, _, _ in pairs] for pairs in rows]
    choice = [
        numbers[s].index(solution.policy[s]) if numbers[s] else -1 for s in range(len(numbers))
    ]
    for state, exact in enumerate(gain_of(rows, choice)):
        assert Fraction(float(solution.lower[state])) <= exact


@settings(max_examples=25)
@given(models())
def test_the_bias_satisfies_its_equation(mdp, steps):
    made = mdp(steps)
    solution = made.solve("average_reward", 1e-9)
    taken = np.take_along_axis(solution.q, np.maximum(solution.policy, 0)[:, None], axis=1)[:, 0]
    acts = solution.policy >= 0
    assert (solution.value + solution.bias)[acts] == pytest.approx(taken[acts], abs=1e-7)
    assert (solution.bias[~acts] == 0).all()


def test_several_places_to_end_up_in(mdp):
    steps = [
        ("start", "left", "a", 1, 100), ("start", "right", "b", 1, 0),
        ("start", "dice", "a", 0.5, 0), ("start", "dice", "c", 0.5, 0),
        ("a", "stay", "a", 1, 1), ("b", "stay", "b", 1, 2),
        ("c", "stay", "c", 1, 5), ("c", "home", "start", 1, 0), ("nowhere", "go", "end", 1, 9),
    ]  # fmt: skip
    made = mdp(steps)
    solution = made.solve("average_reward", 1e-10)
    gain = dict(zip(made.states, solution.value, strict=True))
    assert gain == pytest.approx(
        {"start": 3, "a": 1, "b": 2, "c": 5, "nowhere": 0, "end": 0}, abs=1e-10
    )
    ways = dict(zip(made.states, solution.policy, strict=True))
    assert made.actions[ways["start"]] == "dice"
    assert made.actions[ways["c"]] == "stay"
    assert ways["end"] == -1
    assert solution.bias[list(made.states).index("nowhere")] == pytest.approx(9)


def test_a_component_that_one_had_better_leave(mdp):
    # round in a circle for 1, or out of it, from one of its states only, to where 2 is paid
    steps = [(s, 0, (s + 1) % 4, 1, 1) for s in range(4)] + [(2, 1, 4, 1, -50), (4, 0, 4, 1, 2)]
    solution = mdp(steps).solve("average_reward", 1e-10)
    assert solution.value == pytest.approx([2] * 5, abs=1e-10)
    assert solution.policy.tolist() == [0, 0, 1, 0, 0]
    assert solution.bias == pytest.approx([-54, -53, -52, -55, 0], abs=1e-9)


def test_what_goes_round_in_circles(mdp):
    n = 3000
    steps = [(s, 0, (s + 1) % n, 1, float(s == 7)) for s in range(n)]
    solution = mdp(steps).solve("average_reward", 1e-10)
    assert solution.value == pytest.approx([1 / n] * n, abs=1e-10)


def test_a_larger_model_agrees_with_a_discount_near_one(mdp):
    rng = np.random.default_rng(0)
    n = 3000
    columns = rng.integers(n, size=(3 * n, 4))
    chances = rng.dirichlet(np.ones(4), size=3 * n)
    matrix = csr_array((chances.ravel(), columns.ravel(), np.arange(0, 12 * n + 1, 4)), (3 * n, n))
    rewards = rng.normal(size=(n, 3))
    average = mdp(matrix, rewards).solve("average_reward", 1e-8)
    discounted = mdp(matrix, rewards, 1 - 1e-6).solve(epsilon=1e-4)
    assert average.value == pytest.approx(1e-6 * discounted.value, abs=1e-4)
    assert np.ptp(average.value) <= 1e-8
    assert average.method == "average_reward"


def test_too_few_iterations(mdp):
    rng = np.random.default_rng(1)
    chances, rewards = rng.dirichlet(np.full(30, 0.1), size=(30, 4)), rng.normal(size=(30, 4))
    made = mdp(chances, rewards)
    with pytest.raises(ConvergenceError) as caught:
        made.solve("average_reward", 1e-9, max_iterations=1)
    best = made.solve("average_reward", 1e-9)
    worst = caught.value.solution
    assert (worst.lower <= best.upper).all()
    assert (best.lower <= worst.upper).all()
