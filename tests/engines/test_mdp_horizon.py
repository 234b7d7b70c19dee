"""Backward induction: a known number of steps to go."""

import numpy as np
import pytest

from helicopter.errors import ConvergenceError


def brute_force(chances, rewards, discount, horizon, after):
    """Values by plain recursion."""
    value, rows, choices = after, [after], []
    for _ in range(horizon):
        q = rewards + discount * chances @ value
        value = q.max(axis=1)
        rows.insert(0, value)
        choices.insert(0, q.argmax(axis=1))
    return np.array(rows), np.array(choices)


@pytest.mark.parametrize("discount", [0.7, 1.0])
@pytest.mark.parametrize("horizon", [0, 1, 5])
def test_backward_induction(mdp, horizon, discount):
    rng = np.random.default_rng(horizon)
    chances, rewards = rng.dirichlet(np.ones(6), size=(6, 3)), rng.normal(size=(6, 3))
    after = rng.normal(size=6)
    made = mdp(chances, rewards, discount)
    solution = made.solve(horizon=horizon, terminal_values=after, epsilon=1e-12)
    value, policy = brute_force(chances, rewards, discount, horizon, after)
    assert solution.value.shape == solution.lower.shape == solution.upper.shape == (horizon + 1, 6)
    assert solution.policy.shape == (horizon, 6)
    assert solution.value == pytest.approx(value, abs=1e-12)
    assert np.array_equal(solution.policy, policy.reshape(horizon, 6))
    assert solution.q.shape == (horizon, 6, 3)
    if horizon:
        assert solution.q.max(axis=2) == pytest.approx(value[:-1], abs=1e-12)
    assert (solution.method, solution.criterion) == ("backward_induction", "finite_horizon")
    assert solution.iterations == horizon
    assert (solution.lower <= solution.value).all()
    assert (solution.value <= solution.upper).all()
    assert solution.width < 1e-12
    same = made.solve("backward_induction", horizon=horizon, terminal_values=after)
    assert np.array_equal(same.value, solution.value)


def test_a_game_of_two_dice(mdp):
    # one die, up to three throws, the last one counts in dollars: 4 2/3 (a classic interview
    # problem; Puterman 1994, section 3.4.2, is its infinite form): throw again below 5, then 4
    steps = []
    for face in range(1, 7):
        steps.append((face, "stop", 0, 1, face))
        steps += [(face, "again", other, 1 / 6, 0) for other in range(1, 7)]
    made = mdp(steps, discount=1, states=range(7), actions=["stop", "again"])
    after = [0, 1, 2, 3, 4, 5, 6]
    solution = made.solve(horizon=2, terminal_values=after, epsilon=1e-12)
    assert solution.value[0, 1:].mean() == pytest.approx(14 / 3, abs=1e-12)
    assert solution.policy[0].tolist() == [-1, 1, 1, 1, 1, 0, 0]
    assert solution.policy[1].tolist() == [-1, 1, 1, 1, 0, 0, 0]


def test_terminal_states_are_worth_nothing_before_the_end(mdp):
    made = mdp([(0, 0, 1, 1, 3)], discount=1)
    solution = made.solve(horizon=2, terminal_values=[5, 7], epsilon=1e-12)
    # state 1 has no action: what comes after the last step is worth 7 there, one step earlier 0
    assert solution.value.tolist() == [[3, 0], [10, 0], [5, 7]]
    assert solution.policy.tolist() == [[0, -1], [0, -1]]


def test_ties_go_to_the_lowest_number(mdp):
    chances = np.full((4, 3, 4), 0.25)
    solution = mdp(chances, np.full((4, 3), 0.1), 0.9).solve(horizon=20)
    assert (solution.policy == 0).all()


def test_bounds_that_are_too_wide_are_an_error(mdp):
    chances = np.full((4, 3, 4), 0.25)
    made = mdp(chances, np.full((4, 3), 1e6 / 3), 0.999)
    with pytest.raises(ConvergenceError, match=r"epsilon=1e-12 was asked for") as caught:
        made.solve(horizon=100, epsilon=1e-12)
    assert caught.value.solution.width < 1e-4
    assert made.solve(horizon=100, epsilon=1e-4).width == caught.value.solution.width
