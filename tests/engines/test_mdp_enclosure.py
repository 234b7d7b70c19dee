"""The bounds enclose the true value, which rational arithmetic knows, on models of every kind."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rational_mdp import optimal_value, rational_rows, value_of

from helicopter.errors import ConvergenceError

METHODS = ("auto", "value_iteration", "policy_iteration", "modified_policy_iteration")


@st.composite
def models(draw, *, proper=False):
    """Small models with absorbing, duplicate, terminal and unreachable states, in dense arrays."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_states, n_actions = draw(st.integers(1, 7)), draw(st.integers(1, 3))
    chances = rng.random((n_states, n_actions, n_states)) ** 3
    chances[rng.random(chances.shape) < draw(st.sampled_from([0.0, 0.5, 0.8]))] = 0.0
    chances[:, :, rng.integers(n_states)] += 1e-3
    if draw(st.booleans()):
        chances = np.round(8 * chances) + (np.arange(n_states) == rng.integers(n_states))
    chances /= chances.sum(axis=2, keepdims=True)
    scale = draw(st.sampled_from([0.0, 1.0, 1e-3, 1e6]))
    rewards = scale * rng.normal(size=(n_states, n_actions))
    if draw(st.booleans()):
        rewards = np.round(rewards)
    if draw(st.booleans()):  # absorbing
        chances[0] = np.eye(n_states)[0]
    if n_states > 2 and draw(st.booleans()):  # a duplicate, and so nobody comes to one of the two
        chances[1], rewards[1] = chances[2], rewards[2]
        chances[:, :, 2] += chances[:, :, 1]
        chances[:, :, 1] = 0.0
    allowed = rng.random((n_states, n_actions)) < draw(st.sampled_from([1.0, 0.7]))
    if proper:
        allowed[-1] = False  # terminal, and everything leaks into it
        chances[:, :, -1] += draw(st.sampled_from([0.01, 0.5]))
        chances /= chances.sum(axis=2, keepdims=True)
    if draw(st.booleans()) and n_states > 1:
        paid = rewards[:, :, None] + np.round(scale * rng.normal(size=chances.shape), 2)
        return chances, paid, allowed
    return chances, rewards, allowed


def check(solution, model, discount):
    rows = rational_rows(model)
    truth = optimal_value(rows, discount)
    for state, exact in enumerate(truth):
        assert Fraction(float(solution.lower[state])) <= exact
        assert exact <= Fraction(float(solution.upper[state]))
        assert solution.lower[state] <= solution.value[state] <= solution.upper[state]
    earned = value_of(rows, discount, solution.policy)
    for state, exact in enumerate(earned):
        assert Fraction(float(solution.lower[state])) <= exact
    assert ((solution.policy == -1) == (np.diff(model.pair_start) == 0)).all()


def narrowest(made, method, epsilon):
    try:
        solution = made.solve(method, epsilon)
    except ConvergenceError as error:
        solution = error.solution
    if not solution.width <= epsilon:
        # only where float64 numbers are farther apart than that, and then no wider than they are;
        # what cancels to (almost) zero is known to twice the precision of what cancelled
        size = max(np.abs(solution.lower).max(), np.abs(solution.upper).max())
        size = max(size, 1e-9 * np.abs(made._model.rewards).max())
        assert solution.width <= 4 * np.spacing(size)
    assert solution.width == (solution.upper - solution.lower).max()
    return solution


@settings(max_examples=60)
@given(
    models(),
    st.sampled_from([0.01, 0.5, 0.9, 0.99, 0.999, 0.9999]),
    st.sampled_from(METHODS),
    st.sampled_from([1e-2, 1e-6, 1e-9, 1e-200]),
)
def test_the_truth_is_enclosed(mdp, model, discount, method, epsilon):
    chances, rewards, allowed = model
    if method == "value_iteration":
        discount = min(discount, 0.99)
    made = mdp(chances, rewards, discount, allowed=allowed, action_axis=1)
    check(narrowest(made, method, epsilon), made._model, discount)


@settings(max_examples=40)
@given(models(proper=True), st.sampled_from(METHODS), st.sampled_from([1e-3, 1e-9, 1e-200]))
def test_the_truth_is_enclosed_without_a_discount(mdp, model, method, epsilon):
    chances, rewards, allowed = model
    made = mdp(chances, rewards, 1.0, allowed=allowed, action_axis=1)
    check(narrowest(made, method, epsilon), made._model, 1.0)


@settings(max_examples=25)
@given(models(), st.integers(1, 4), st.sampled_from([0.3, 1.0]))
def test_the_truth_is_enclosed_over_a_horizon(mdp, model, horizon, discount):
    chances, rewards, allowed = model
    made = mdp(chances, rewards, discount, allowed=allowed, action_axis=1)
    after = np.arange(len(chances)) / 3.0
    solution = made.solve(horizon=horizon, terminal_values=after, epsilon=1e-3)
    rows = rational_rows(made._model)
    best = earned = [Fraction(float(value)) for value in after]
    for step in range(horizon - 1, -1, -1):
        tables = [
            [
                [r + Fraction(discount) * sum(p * v[t] for t, p in c.items()) for _, c, r in pairs]
                for pairs in rows
            ]
            for v in (best, earned)
        ]
        numbers = [[action for action, _, _ in pairs] for pairs in rows]
        best = [max(values, default=Fraction(0)) for values in tables[0]]
        earned = [
            values[numbers[s].index(solution.policy[step, s])] if values else Fraction(0)
            for s, values in enumerate(tables[1])
        ]
        for s in range(len(rows)):
            low = Fraction(float(solution.lower[step, s]))
            assert low <= earned[s] <= best[s] <= Fraction(float(solution.upper[step, s]))


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_limit_that_is_too_low_leaves_bounds_that_hold(mdp, method):
    rng = np.random.default_rng(3)
    chances = rng.dirichlet(np.full(6, 0.2), size=(6, 4))
    made = mdp(chances, rng.normal(size=(6, 4)), 0.999)
    with pytest.raises(ConvergenceError, match="epsilon=1e-09 was asked for") as caught:
        made.solve(method, 1e-9, max_iterations=1)
    solution = caught.value.solution
    assert solution.iterations == 1
    assert solution.width > 1e-9
    check(solution, made._model, 0.999)
