"""Figures of policies and of solved decision processes."""

import numpy as np
import pytest
from test_plotting import drawn

from helicopter.core import MDP, StoppingPolicy, TransitionPosterior
from helicopter.core.evidence._calibration import reliability_curve
from helicopter.plotting import DARK, LIGHT, plot_result

CAR = [
    ("fine", "drive", "fine", 0.9, 10),
    ("fine", "drive", "broken", 0.1, 10),
    ("broken", "repair", "fine", 1, -30),
    ("broken", "sell", "sold", 1, 40),
]


def car():
    return MDP(CAR, discount=0.9, use_rust_acceleration=False)


def test_values_and_policy_are_drawn_state_by_state():
    solution = car().solve()
    values, policy = solution.plot().axes
    (line,) = values.get_lines()
    np.testing.assert_array_equal(line.get_ydata(), solution.value)
    (marks,) = policy.get_lines()
    assert marks.get_xdata().tolist() == [0, 1]  # nothing is done once it is sold
    assert marks.get_ydata().tolist() == [0, 2]


def test_of_a_finite_horizon_the_first_step_is_drawn():
    solution = car().solve(horizon=3)
    values, policy = solution.plot().axes
    np.testing.assert_array_equal(values.get_lines()[0].get_ydata(), solution.value[0])
    assert policy.get_lines()[0].get_ydata().tolist() == solution.policy[0, :2].tolist()
    _, policy = car().solve(horizon=0).plot().axes
    assert policy.get_lines()[0].get_xdata().size == 0


def test_many_states_are_a_line():
    states = np.arange(400)
    steps = [(s, 0, min(s + 1, 399), 1.0, float(s)) for s in states.tolist()]
    solution = MDP(steps, use_rust_acceleration=False).solve()
    values, _ = solution.plot().axes
    assert values.get_lines()[0].get_linewidth() > 0


@pytest.mark.parametrize("cost", [0.001, 0.1])
def test_a_policy_is_drawn_as_far_as_it_looks_on(cost):
    policy = StoppingPolicy(0.8, cost_of_look=cost, use_rust_acceleration=False)
    (axes,) = policy.plot().axes
    bounds = policy.boundaries
    (line,) = axes.get_lines()
    last = int(line.get_xdata()[-1])
    goes_on = bounds.accept_from - bounds.reject_at > 1
    assert not goes_on[last:].any() or last == policy.max_looks
    assert goes_on[last - 1]
    assert (axes.get_xscale() == "log") == (last > 80)


def test_a_policy_that_decides_at_once_says_so():
    policy = StoppingPolicy(0.8, cost_of_look=2.0, use_rust_acceleration=False)
    (axes,) = policy.plot().axes
    assert [text.get_text() for text in axes.texts] == ["decided without a look"]


def posterior():
    found = TransitionPosterior(2, 1, use_rust_acceleration=False)
    found.update([(0, 0, 1.0, 1), (1, 0, 0.0, 0), (0, 0, 1.0, 1)])
    return found


def test_intervals_are_drawn_around_their_means():
    found = posterior().value_interval(n_samples=20)
    (axes,) = found.plot().axes
    best, policy = axes.get_lines()
    np.testing.assert_array_equal(best.get_ydata(), found.mean)
    np.testing.assert_array_equal(policy.get_ydata(), found.policy_mean)
    ends = [segment[:, 1] for segment in axes.collections[0].get_segments()]
    np.testing.assert_array_equal(ends, np.stack([found.lower, found.upper], axis=1))
    chances = posterior().interval()
    (line,) = chances.plot().axes[0].get_lines()
    np.testing.assert_array_equal(line.get_ydata(), chances.mean.ravel())


def reliability():
    stated = np.repeat([0.1, 0.55, 0.9], [20, 10, 40])
    return reliability_curve(stated, np.arange(70) % 10 < 10 * stated - 1)


def test_what_came_true_is_drawn_over_what_was_stated():
    curve = reliability()
    above, below = curve.plot().axes
    (errors,) = above.containers
    line, _, (bars,) = errors.lines
    np.testing.assert_allclose(line.get_xdata(), [0.1, 0.55, 0.9])
    np.testing.assert_allclose(line.get_ydata(), curve.frequency[curve.counts > 0])
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    some = curve.counts > 0
    np.testing.assert_allclose(ends, np.stack([curve.low[some], curve.high[some]], axis=1))
    assert [bar.get_height() for bar in below.patches] == curve.counts.tolist()


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
def test_they_are_drawn_in_both_styles(style):
    policy = StoppingPolicy(use_rust_acceleration=False)
    for result in (car().solve(), policy, reliability()):
        picture = drawn(plot_result(result, style=style))
        ground = picture[0, 0].mean()
        assert ground > 250 if style is LIGHT else ground < 40
        assert picture.std() > 5
