"""Partially observed models."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pomdp_models import (
    cheese_maze,
    exact_two_states,
    paint,
    random_model,
    shuttle,
    tiger,
    tree_bounds,
)

from helicopter.core import MDP, POMDP
from helicopter.errors import ConvergenceError, InvalidModelError, InvalidOptionError


@pytest.fixture(scope="module")
def pomdp(backend):
    """Make a model on the backend under test."""

    def make(transitions, observations, rewards, discount=0.95, **options):
        options.setdefault("use_rust_acceleration", backend == "rust")
        return POMDP(transitions, observations, rewards, discount, **options)

    return make


def plain(model, discount=0.95, **options):
    return POMDP(**model, discount=discount, use_rust_acceleration=False, **options)


# Known answers


@pytest.mark.parametrize(("discount", "value"), [(0.95, 19.3713683749), (0.75, 1.9334389857)])
def test_tiger(pomdp, discount, value):
    solution = pomdp(**tiger(), discount=discount).solve(epsilon=1e-9)
    assert solution.width <= 1e-9
    assert solution.value == pytest.approx(value, abs=1e-9)
    assert solution.lower <= value + 5e-11
    assert solution.upper >= value - 5e-11
    assert solution.policy() == 0  # listen first
    assert solution.policy([0.02, 0.98]) == 1
    assert solution.policy([0.98, 0.02]) == 2


@pytest.mark.parametrize("right", [0.5, 0.3, 0.9])
def test_tiger_agrees_with_exact_value_iteration(pomdp, right):
    belief = np.array([1 - right, right])
    exact = exact_two_states(tiger(), 0.75, belief)
    solution = pomdp(**tiger(), discount=0.75).solve(belief, 1e-7)
    assert solution.lower - 1e-8 <= exact <= solution.upper + 1e-8


def test_shuttle(pomdp):
    # stated with the code of Allen et al., Mitigating partial observability in sequential decision
    # processes via the lambda discrepancy (2024)
    solution = pomdp(**shuttle()).solve(np.eye(8)[7], 1e-8)
    assert solution.value == pytest.approx(32.88972468934434, abs=1e-8)


def test_paint(pomdp):
    # from the same place; printed to the accuracy to which it was solved
    solution = pomdp(**paint()).solve([0.5, 0, 0, 0.5], 1e-8)
    assert solution.value == pytest.approx(3.293597084371071, abs=1e-8)


def test_cheese_maze_with_a_first_look(pomdp):
    # from the same place; there, the first observation comes before the first step
    model = pomdp(**cheese_maze())
    start = np.append(np.full(10, 0.1), 0.0)
    value = 0.0
    for seen in model.observations:
        weight = start * cheese_maze()["observations"][:, seen]
        if weight.sum() > 0:
            value += weight.sum() * model.solve(weight / weight.sum(), 1e-8).value
    assert value == pytest.approx(3.5788796295075453, abs=1e-8)
    assert model.solve(start, 1e-8).value < value


def test_what_can_be_seen_is_a_decision_process(pomdp):
    generator = np.random.default_rng(3)
    model = random_model(generator, 4, 3, 2)
    model["observations"] = np.eye(4)  # each state shows itself
    solved = MDP(model["transitions"], model["rewards"], 0.9, use_rust_acceleration=False).solve(
        epsilon=1e-9
    )
    belief = np.array([0.1, 0.2, 0.3, 0.4])
    q = belief @ solved.q  # only the first state is not seen
    solution = pomdp(**model, discount=0.9).solve(belief, 1e-8)
    assert solution.value == pytest.approx(q.max(), abs=2e-8)
    for state in range(4):
        certain = pomdp(**model, discount=0.9).solve(np.eye(4)[state], 1e-8)
        assert certain.value == pytest.approx(solved.value[state], abs=2e-8)


def test_what_shows_nothing_is_a_walk_of_beliefs(pomdp):
    # machine: use it (it may break), or repair it; nothing is ever seen
    move = np.zeros((2, 2, 2))
    move[:, 0] = [[0.8, 0.2], [0, 1]]
    move[:, 1] = [1, 0]
    pay = np.array([[1.0, -2.0], [-1.0, -2.0]])
    found = pomdp(move, np.ones((2, 1)), pay, 0.9).solve([1, 0], 1e-9)
    # it is used k times, then repaired: the best k by hand
    values = []
    for k in range(1, 40):
        good = 0.8 ** np.arange(k)
        earned = (0.9 ** np.arange(k) * (2 * good - 1)).sum() - 2 * 0.9**k
        values.append(earned / (1 - 0.9 ** (k + 1)))
    forever = (0.9 ** np.arange(2000) * (2 * 0.8 ** np.arange(2000.0) - 1)).sum()
    assert found.value == pytest.approx(max(*values, forever), abs=1e-9)


# Bounds


@pytest.mark.parametrize("seed", range(12))
def test_the_bounds_hold_the_value_of_exact_value_iteration(pomdp, seed):
    generator = np.random.default_rng(seed)
    model = random_model(generator, 2, int(generator.integers(2, 4)), 2, sparse=seed % 3 == 0)
    discount = float(generator.uniform(0.3, 0.9))
    belief = generator.dirichlet([1, 1])
    exact = exact_two_states(model, discount, belief)
    solution = pomdp(**model, discount=discount).solve(belief, 1e-5)
    assert solution.lower - 1e-8 <= exact <= solution.upper + 1e-8
    assert solution.width <= 1e-5
    for right in np.linspace(0, 1, 7):
        low, high = solution.bounds([1 - right, right])
        exact = exact_two_states(model, discount, np.array([1 - right, right]))
        assert low - 1e-8 <= exact <= high + 1e-8


@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(2, 3), st.integers(1, 3))
def test_the_bounds_hold_the_value_of_a_tree(seed, n_states, n_actions, n_seen):
    generator = np.random.default_rng(seed)
    model = random_model(generator, n_states, n_actions, n_seen, sparse=seed % 2 == 0)
    belief = generator.dirichlet(np.full(n_states, 0.5))
    depth = {2: 8, 3: 6, 4: 5, 6: 5, 9: 4}.get(n_actions * n_seen, 5)
    low, high = tree_bounds(model, 0.4, belief, depth)
    solution = plain(model, 0.4).solve(belief, 1e-4)
    assert solution.lower <= high + 1e-9
    assert solution.upper >= low - 1e-9
    # the tree narrows it down, too: nothing else was bounded
    assert solution.width <= 1e-4
    corner = int(generator.integers(n_states))
    low, high = tree_bounds(model, 0.4, np.eye(n_states)[corner], depth)
    lower, upper = solution.bounds(np.eye(n_states)[corner])
    assert lower <= high + 1e-9
    assert upper >= low - 1e-9


def test_the_policy_earns_the_lower_bound():
    model = plain(tiger(), 0.75)
    solution = model.solve(epsilon=1e-6)
    generator = np.random.default_rng(0)
    see, pay = tiger()["observations"], tiger()["rewards"]
    runs = []
    for _ in range(1000):
        belief, state = np.array([0.5, 0.5]), int(generator.integers(2))
        total, worth = 0.0, 1.0
        for _ in range(35):
            action = solution.policy(belief)
            total += worth * pay[state, action]
            worth *= 0.75
            if action > 0:
                state = int(generator.integers(2))
            seen = int(generator.random() < see[action, state, 1])
            belief = model.belief_update(belief, action, seen)
        runs.append(total)
    error = np.std(runs) / len(runs) ** 0.5
    assert abs(np.mean(runs) - solution.value) <= 3 * error


def test_the_controller_earns_what_its_vectors_say(pomdp):
    model = random_model(np.random.default_rng(8), 3, 2, 2)
    solution = pomdp(**model, discount=0.8).solve(epsilon=1e-3)
    joint = np.einsum("sat,ato->aost", model["transitions"], model["observations"])
    actions, after = solution.vector_actions, solution.next_vectors
    vectors = np.zeros_like(solution.vectors)
    for _ in range(200):
        later = np.einsum("nost,not->ns", joint[actions], vectors[after])
        vectors = model["rewards"][:, actions].T + 0.8 * later
    assert (solution.vectors <= vectors + 1e-12).all()
    np.testing.assert_allclose(solution.vectors, vectors, atol=1e-3)
    assert (vectors @ solution.belief).max() >= solution.lower


def test_both_backends_agree(both_backends):
    model = random_model(np.random.default_rng(4), 3, 2, 2)
    one, other = (
        POMDP(**model, discount=0.8, use_rust_acceleration=name == "rust").solve(epsilon=1e-4)
        for name in both_backends
    )
    assert one.lower <= other.upper
    assert other.lower <= one.upper


def test_large_rewards_leave_room_for_rounding(pomdp):
    model = tiger()
    model["rewards"] = model["rewards"] * 1e9
    with pytest.raises(ConvergenceError, match="1e-09 was asked for") as caught:
        pomdp(**model, discount=0.95).solve(epsilon=1e-9)
    solution = caught.value.solution
    assert solution.lower <= 19.3713683749e9 + 1 <= solution.upper + 2
    assert solution.width < 2.0


def test_too_few_beliefs_are_an_error_that_has_the_bounds(pomdp):
    with pytest.raises(ConvergenceError, match="with 4 beliefs") as caught:
        pomdp(**tiger()).solve(max_beliefs=4)
    rough = pickle.loads(pickle.dumps(caught.value)).solution
    assert len(rough.points) == 4
    assert rough.lower < 19.3713683749 < rough.upper
    assert rough.width == rough.upper - rough.lower > 1e-6


def test_progress_is_told_and_can_stop(pomdp):
    told = []
    pomdp(**tiger()).solve(epsilon=1e-6, progress=lambda done, total: told.append((done, total)))
    assert told[0][1] == 1000
    done = [beliefs for beliefs, _ in told]
    assert done == sorted(done)
    assert done[0] == 3
    assert done[-1] == 7

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pomdp(**tiger()).solve(progress=stop)


# Beliefs


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 3), st.integers(1, 4))
def test_beliefs_are_probabilities_and_follow_bayes(seed, n_states, n_actions, n_seen):
    generator = np.random.default_rng(seed)
    model = random_model(generator, n_states, n_actions, n_seen)
    made = plain({**model, "transitions": model["transitions"].transpose(1, 0, 2)})
    if n_states == n_actions:
        made = plain(model)
    belief = generator.dirichlet(np.ones(n_states))
    action, seen = int(generator.integers(n_actions)), int(generator.integers(n_seen))
    chances = made.observation_probabilities(belief, action)
    assert chances.sum() == pytest.approx(1, abs=1e-12)
    after = made.belief_update(belief, action, seen)
    assert after.sum() == pytest.approx(1, abs=1e-12)
    assert (after >= 0).all()
    for state in range(n_states):
        arrive = sum(belief[s] * model["transitions"][s, action, state] for s in range(n_states))
        weight = arrive * model["observations"][action, state, seen]
        assert after[state] == pytest.approx(weight / chances[seen], abs=1e-12)
    # over all observations, beliefs average to where the state goes
    mean = sum(chances[o] * made.belief_update(belief, action, o) for o in range(n_seen))
    np.testing.assert_allclose(mean, belief @ model["transitions"][:, action], atol=1e-12)


def test_tiger_beliefs():
    model = plain(
        tiger(),
        states=("left", "right"),
        actions=("listen", "open left", "open right"),
        observation_labels=("growl left", "growl right"),
    )
    once = model.belief_update(None, "listen", "growl left")
    np.testing.assert_allclose(once, [0.85, 0.15])
    back = model.belief_update(once, "listen", "growl right")
    np.testing.assert_allclose(back, [0.5, 0.5])
    np.testing.assert_allclose(model.observation_probabilities(once, "listen"), [0.745, 0.255])
    np.testing.assert_allclose(model.belief_update(once, 1, 0), [0.5, 0.5])


def test_what_cannot_be_seen_is_an_error():
    model = plain(cheese_maze())
    start = np.append(np.full(10, 0.1), 0.0)
    with pytest.raises(InvalidOptionError, match="observation 6 has probability 0 after action 0"):
        model.belief_update(start, 0, 6)


def test_observations_may_depend_on_where_the_move_began(pomdp):
    model = random_model(np.random.default_rng(6), 3, 2, 2)
    spread = np.broadcast_to(model["observations"], (3, 2, 3, 2))
    one = pomdp(**model, discount=0.7).solve(epsilon=1e-6)
    other = pomdp(**{**model, "observations": spread}, discount=0.7).solve(epsilon=1e-6)
    assert one.value == pytest.approx(other.value, abs=1e-9)
    # it is seen where the move began, after the fact
    tell = np.zeros((3, 2, 3, 3))
    tell[np.arange(3), :, :, np.arange(3)] = 1
    told = plain({**model, "observations": tell})
    belief = told.belief_update([0.2, 0.3, 0.5], 1, 2)
    np.testing.assert_allclose(belief, model["transitions"][2, 1])


def test_rewards_and_transitions_in_every_form(pomdp):
    model = random_model(np.random.default_rng(7), 3, 2, 2)
    move, pay = model["transitions"], np.random.default_rng(1).normal(size=(3, 2, 3))
    flat = (move * pay).sum(axis=2)
    values = [
        pomdp(t, model["observations"], r, 0.7).solve(epsilon=1e-6).value
        for t, r in (
            (move, pay),
            (move, flat),
            (move.transpose(1, 0, 2), pay.transpose(1, 0, 2)),
            (move.transpose(1, 0, 2), flat),
        )
    ]
    np.testing.assert_allclose(values, values[0], atol=2e-6)
    same = pomdp(move, model["observations"], [1.0, 1.0, 1.0], 0.75).solve(epsilon=1e-9)
    assert same.value == pytest.approx(4.0, abs=1e-9)


# Input


def broken(**changes):
    model = {name: np.array(value) for name, value in tiger().items()}
    for name, (index, value) in changes.items():
        model[name][index] = value
    return model


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (broken(transitions=((1, 2, 0), 0.6)), "transitions: state 1, action 2: .* add up to 1.1"),
        (broken(transitions=((0, 1, 1), -0.5)), "transitions: state 0, action 1: probability 1 is"),
        (broken(transitions=((0, 0, 0), np.nan)), "transitions: state 0, action 0: probability 0"),
        (broken(observations=((2, 1, 0), 0.4)), "observations: action 2 to state 1: .* add up to"),
        (broken(rewards=((1, 2), np.inf)), "rewards: state 1, action 2: got inf"),
        ({**tiger(), "transitions": np.eye(2)}, r"transitions: shape \(2, 2\) is not accepted"),
        ({**tiger(), "observations": np.ones((3, 2))}, r"observations: shape \(3, 2\) is not"),
        ({**tiger(), "rewards": np.ones(3)}, r"rewards: shape \(3,\) is not accepted"),
        ({**tiger(), "rewards": "much"}, "rewards: got str"),
    ],
)
def test_a_bad_model_is_refused_by_place(model, text):
    with pytest.raises(InvalidModelError, match=text):
        plain(model)


def test_labels_name_the_place():
    with pytest.raises(InvalidModelError, match=r"state 1 \('right'\), action 2"):
        plain(broken(transitions=((1, 2, 0), 0.6)), states=("left", "right"))


@pytest.mark.parametrize(
    ("belief", "text"),
    [
        ([0.5, 0.6], "add up to 1.1"),
        ([1.5, -0.5], "state 1 is -0.5"),
        ([np.nan, 1], "state 0 is nan"),
        ([1.0], r"shape \(1,\)"),
        ("sure", "belief: got str"),
    ],
)
def test_a_bad_belief_is_refused(belief, text):
    model = plain(tiger())
    for call in (model.solve, lambda b: model.belief_update(b, 0, 0)):
        with pytest.raises(InvalidOptionError, match=text):
            call(belief)


def test_bad_options_are_refused_by_name():
    model = plain(tiger())
    for call, name in (
        (lambda: model.solve(epsilon=0), "epsilon"),
        (lambda: model.solve(max_beliefs=2), "max_beliefs"),
        (lambda: model.belief_update(None, 3, 0), "action: got 3; expected a number from 0 to 2"),
        (lambda: model.belief_update(None, "listen", 0), "action: got 'listen'"),
        (lambda: model.belief_update(None, True, 0), "action: got True"),
        (lambda: model.belief_update(None, 0, [1]), "observation: got"),
        (lambda: plain(tiger(), 1.0), "discount"),
        (lambda: plain(tiger(), states=("a", "a")), "states: got 2 labels, 1 of them different"),
        (lambda: plain(tiger(), actions=5), "actions: got int"),
    ):
        with pytest.raises(InvalidOptionError, match=name):
            call()


def test_a_result_reads_as_a_mapping():
    solution = plain(tiger()).solve()
    assert solution["lower"] == solution.lower
    assert solution.to_dict()["belief"] == {"shape": [2], "dtype": "float64"}
    assert "_rounding" not in solution
    assert solution.backend == "python"
