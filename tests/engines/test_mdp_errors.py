"""What is wrong with a model is said with the state and the action that it is wrong with."""

import pickle

import numpy as np
import pytest
from scipy import sparse

from helicopter.core import MDP, MDPSolution
from helicopter.errors import (
    ConvergenceError,
    HelicopterError,
    InvalidModelError,
    InvalidOptionError,
)

LABELS = {"states": ["red", "green"], "actions": ["go", "stop", "turn"]}


def good():
    chances = np.full((2, 3, 2), 0.5)
    return chances, np.arange(6.0).reshape(2, 3)


def as_dense(chances, rewards):
    return chances, rewards


def as_matrices(chances, rewards):
    return [sparse.csr_array(chances[:, action]) for action in range(3)], rewards


def as_stacked(chances, rewards):
    return sparse.csr_array(chances.reshape(6, 2)), rewards


@pytest.mark.parametrize("form", [as_dense, as_matrices, as_stacked])
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (-0.5, r"the probability of state 0 \('red'\) is -0.5; expected a number from 0 to 1"),
        (np.nan, r"the probability of state 0 \('red'\) is nan; expected a number from 0 to 1"),
        (np.inf, r"the probability of state 0 \('red'\) is inf; expected a number from 0 to 1"),
        (0.4, r"the probabilities add up to 0\.9; expected 1 within 1e-09"),
        (0.5 + 2e-9, r"the probabilities add up to 1\.00000000\d+; expected 1 within 1e-09"),
    ],
)
def test_probabilities(mdp, form, wrong, words):
    chances, rewards = good()
    chances[1, 2, 0] = wrong
    pair = r"transitions: state 1 \('green'\), action 2 \('turn'\): "
    with pytest.raises(InvalidModelError, match=f"^{pair}{words}"):
        mdp(*form(chances, rewards), **LABELS)
    with pytest.raises(InvalidModelError, match=r"^transitions: state 1, action 2: "):
        mdp(*form(chances, rewards))
    allowed = np.ones((2, 3), dtype=bool)
    allowed[1, 2] = False
    assert mdp(*form(chances, rewards), allowed=allowed).solve().policy[1] in (0, 1)


@pytest.mark.parametrize("form", [as_dense, as_matrices, as_stacked])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_rewards(mdp, form, wrong):
    chances, rewards = good()
    rewards[0, 1] = wrong
    with pytest.raises(
        InvalidModelError,
        match=rf"^rewards: state 0 \('red'\), action 1 \('stop'\): got {wrong}; expected a finite",
    ):
        mdp(*form(chances, rewards), **LABELS)
    by_target = np.repeat(good()[1][:, :, None], 2, axis=2)
    by_target[1, 0, 1] = wrong
    with pytest.raises(InvalidModelError, match=r"^rewards: state 1, action 0: got"):
        mdp(good()[0], by_target)


def test_single_precision_has_a_wider_tolerance(mdp):
    chances, rewards = good()
    nearly = chances.astype(np.float32)
    nearly[0, 0, 0] += 5e-6
    for form in (as_dense, as_matrices, as_stacked):
        model = mdp(*form(nearly, rewards))._model
        sums = np.add.reduceat(model.probabilities, model.row_start[:-1])
        assert np.abs(sums - 1).max() < 1e-15
        with pytest.raises(InvalidModelError, match=r"add up to 1\.0000"):
            mdp(*form(nearly.astype(np.float64), rewards))
        worse = nearly.copy()
        worse[0, 0, 0] += 1e-4
        with pytest.raises(InvalidModelError, match=r"state 0, action 0.*within 1e-05"):
            mdp(*form(worse, rewards))


@pytest.mark.parametrize(
    ("transitions", "rewards", "words"),
    [
        (np.ones((2, 3, 4)), np.ones((2, 3)), r"transitions: shape \(2, 3, 4\) is not accepted"),
        (np.ones((2, 2)), np.ones((2, 2)), r"transitions: shape \(2, 2\) is not accepted"),
        (np.ones((0, 3, 0)), np.ones((0, 3)), r"transitions: shape \(0, 3, 0\)"),
        (good()[0], np.ones((3, 2)), r"rewards: shape \(3, 2\) is not accepted; expected \(2, 3\)"),
        (good()[0], np.ones((2, 3, 3)), r"rewards: shape \(2, 3, 3\) is not accepted"),
        (good()[0], "abc", "rewards: got str of dtype <U3; expected numbers"),
        (good()[0].astype(complex), good()[1], "transitions: got ndarray of dtype complex128"),
        (good()[0], None, "rewards: missing; expected an array"),
        ("abc", np.ones((2, 3)), "transitions: got str"),
        (7, None, "transitions: got int; rewards is None, so"),
        ([], None, "transitions: got none"),
        ([(0, 0, 0, 1)], None, r"transitions\[0\]: got \(0, 0, 0, 1\); rewards is None"),
        ([(0, 0, 0, "x", 1)], None, r"transitions\[0\]: the probability is 'x'"),
        ([(0, 0, 0, 1, "x")], None, r"transitions\[0\]: the reward is 'x'"),
        ([(0, 0, 0, 1, None)], None, "rewards: state 0, action 0: got nan"),
        ([(0, [], 0, 1, 1)], None, "labels of actions have to be hashable; expected numbers"),
        ([(0, 0, 2**40, 1, 1)], None, "is too large a number"),
        (sparse.csr_array((5, 2)), np.ones(5), r"transitions: shape \(5, 2\) is not accepted"),
        ([sparse.csr_array((2, 3))], np.ones((2, 1)), r"transitions\[0\]: shape \(2, 3\)"),
        (sparse.eye_array(2), np.ones(3), r"rewards: shape \(3,\) is not accepted"),
        (sparse.eye_array(2), sparse.eye_array(3), r"rewards: shape \(3, 3\) is not accepted"),
    ],
)
def test_forms(mdp, transitions, rewards, words):
    with pytest.raises(InvalidModelError, match=words):
        mdp(transitions, rewards)


def test_labels(mdp):
    with pytest.raises(InvalidModelError, match="states: got 3 labels, 3 of them different"):
        mdp(*good(), states=[1, 2, 3])
    with pytest.raises(InvalidModelError, match="actions: got 3 labels, 2 of them different"):
        mdp(*good(), actions=["a", "b", "a"])
    with pytest.raises(InvalidModelError, match="state 'c' is not among the states"):
        mdp([("a", 0, "c", 1, 0)], states=["a", "b"])
    with pytest.raises(InvalidModelError, match="action 1 is not among the actions"):
        mdp([("a", 1, "a", 1, 0)], actions=[0])


def test_allowed(mdp):
    for wrong in (np.ones((3, 2), dtype=bool), np.ones((2, 3))):
        with pytest.raises(InvalidModelError, match=r"allowed: got .*; expected bool of shape"):
            mdp(*good(), allowed=wrong)
    with pytest.raises(InvalidModelError, match="allowed: a list of transitions has no use"):
        mdp([(0, 0, 0, 1, 0)], allowed=[[True]])


def test_pairs(backend):
    rust = backend == "rust"

    def make(states, actions, transitions=None, rewards=(1, 2)):
        transitions = np.eye(2) if transitions is None else transitions
        return MDP.from_pairs(states, actions, transitions, rewards, use_rust_acceleration=rust)

    for states, actions, words in (
        ([0, 2], [0, 0], "states: pair 1 has state 2; expected a number from 0 to 1"),
        ([0, 0], [1, -1], "actions: pair 1 has action -1"),
        ([0, 0], [1, 1], r"actions: state 0, action 1 is there 2 times"),
        ([0], [1], r"states: got int64 of shape \(1,\)"),
        ([0, 1.5], [1, 1], "states: got float64"),
    ):
        with pytest.raises(InvalidModelError, match=words):
            make(states, actions)
    with pytest.raises(InvalidModelError, match=r"rewards: shape \(3,\)"):
        make([0, 1], [0, 0], rewards=[1, 2, 3])
    with pytest.raises(InvalidModelError, match=r"transitions: shape \(2,\)"):
        make([0, 1], [0, 0], transitions=[1, 2])
    with pytest.raises(InvalidModelError, match="state 1, action 0: the probabilities add up to 0"):
        make([0, 1], [0, 0], transitions=sparse.csr_array(([1.0], [0], [0, 1, 1]), shape=(2, 2)))


@pytest.mark.parametrize("discount", [0, -0.5, 1.0001, np.nan, "x", None, True])
def test_discount(mdp, discount):
    with pytest.raises(InvalidModelError, match=r"discount: got .*; expected a number above 0"):
        mdp(*good(), discount)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "simplex"}, "method: got 'simplex'; expected one of auto, backward_ind"),
        ({"epsilon": 0}, "epsilon: got 0; expected a finite number above 0"),
        ({"epsilon": -1.0}, "epsilon: got -1.0"),
        ({"epsilon": np.nan}, "epsilon: got nan"),
        ({"epsilon": "x"}, "epsilon: got 'x'"),
        ({"max_iterations": 0}, "max_iterations: got 0"),
        ({"horizon": -1}, "horizon: got -1"),
        ({"horizon": 1.5}, "horizon: got 1.5"),
        ({"method": "backward_induction"}, "horizon: missing"),
        ({"horizon": 3, "method": "policy_iteration"}, "method: got 'policy_iteration' with a"),
        ({"terminal_values": [0, 0]}, "terminal_values: given without a horizon"),
        ({"horizon": 3, "terminal_values": [0]}, r"terminal_values: got \[0\]; expected 2 finite"),
        ({"horizon": 3, "terminal_values": [0, np.inf]}, "terminal_values: got"),
        ({"progress": 3}, "progress must be None, True or a callable"),
    ],
)
def test_options(mdp, options, words):
    with pytest.raises(InvalidOptionError, match=words):
        mdp(*good()).solve(**options)


def test_going_on_for_ever_without_a_discount(mdp):
    steps = [
        ("a", "left", "end", 1, 1),
        ("a", "right", "b", 1, 0),
        ("b", "on", "c", 0.5, 0),
        ("b", "on", "b", 0.5, 0),
        ("c", "back", "b", 1, 0),
        ("c", "out", "end", 1, 0),
    ]
    with pytest.raises(
        InvalidModelError,
        match=r"discount: got 1, but state \d \('[bc]'\), action \d \('(on|back)'",
    ):
        mdp(steps, discount=1).solve()
    assert mdp(steps, discount=1).solve(horizon=3).value[0, 0] == 1
    fine = [step for step in steps if step[1] != "back"]
    assert mdp(fine, discount=1).solve().value[0] == 1
    # an absorbing state counts as terminal if it pays nothing, and only then
    for pay in (0, 1):
        made = mdp([("a", "go", "a", 0.5, 1), ("a", "go", "z", 0.5, 1), ("z", "stay", "z", 1, pay)])
        made.discount = 1.0
        if pay:
            with pytest.raises(InvalidModelError, match=r"state 1 \('z'\), action 1 \('stay'\)"):
                made.solve()
        else:
            assert made.solve().value.tolist() == pytest.approx([2, 0])
            assert made.solve().policy.tolist() == [0, 1]


def test_what_float64_cannot_tell_apart(mdp):
    made = mdp(good()[0], 1e6 * good()[1], 0.9999)
    with pytest.raises(ConvergenceError, match=r"Float64 numbers as large as .* lie") as caught:
        made.solve(epsilon=1e-9)
    solution = caught.value.solution
    assert isinstance(solution, MDPSolution)
    assert solution.width <= 4 * np.spacing(solution.upper.max())
    assert isinstance(caught.value, (HelicopterError, RuntimeError))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert np.array_equal(copy.solution.lower, solution.lower)
    assert np.array_equal(copy.solution.q, solution.q)


def test_numbers_that_overflow(mdp):
    made = mdp(good()[0], np.array([[1e308, -1e308, 0]] * 2), 0.99)
    with pytest.raises(ConvergenceError) as caught:
        made.solve()
    solution = caught.value.solution
    assert (solution.lower <= 1e308).all()
    assert (solution.upper >= 1e308).all()


@pytest.mark.parametrize("reward", [np.nan, np.inf])
def test_rewards_have_to_be_finite_where_nothing_leads_to_as_well(mdp, reward):
    chances = np.array([[[0.5, 0.5]], [[0.0, 1.0]]])
    rewards = np.array([[[1.0, 1.0]], [[reward, 5.0]]])
    with pytest.raises(InvalidModelError, match="state 1, action 0"):
        mdp(chances, rewards)


def test_minus_infinity_takes_an_action_out_wherever_it_stands(mdp):
    chances = np.array([[[0.5, 0.5]], [[0.0, 1.0]]])
    rewards = np.array([[[1.0, 1.0]], [[-np.inf, 5.0]]])
    assert mdp(chances, rewards, 0.5).solve().policy.tolist() == [0, -1]


def test_an_unknown_label_is_shown_where_it_stands(mdp):
    steps = [("a", "x", "b", 1, 1), ("b", "x", "typo", 1, 0)]
    with pytest.raises(InvalidModelError, match=r"transitions\[1\].*'typo'"):
        mdp(steps, states=["a", "b"])
