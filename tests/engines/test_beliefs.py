"""Partially observed models, and what is believed of their states."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicopter.core import POMDP
from helicopter.errors import InvalidModelError, InvalidOptionError


@pytest.fixture(scope="module")
def pomdp(backend):
    """Make a model on the backend under test."""

    def make(transitions, observations, rewards=None, discount=0.95, **options):
        options.setdefault("use_rust_acceleration", backend == "rust")
        return POMDP(transitions, observations, rewards, discount, **options)

    return make


def plain(model, discount=0.95, **options):
    return POMDP(**model, discount=discount, use_rust_acceleration=False, **options)


def tiger():
    """Kaelbling, Littman and Cassandra (1998): listen, open left, open right."""
    stay, anew = np.eye(2), np.full((2, 2), 0.5)
    hear = np.array([[0.85, 0.15], [0.15, 0.85]])
    return {
        "transitions": np.stack([stay, anew, anew], axis=1),
        "observations": np.stack([hear, anew, anew]),
        "rewards": np.array([[-1.0, -100.0, 10.0], [-1.0, 10.0, -100.0]]),
    }


def random_model(generator, n_states, n_actions, n_seen):
    return {
        "transitions": generator.dirichlet(np.ones(n_states), (n_states, n_actions)),
        "observations": generator.dirichlet(np.ones(n_seen), (n_actions, n_states)),
        "rewards": generator.normal(0, 3, (n_states, n_actions)),
    }


# Beliefs


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 3), st.integers(1, 4))
def test_beliefs_are_probabilities_and_follow_bayes(seed, n_states, n_actions, n_seen):
    generator = np.random.default_rng(seed)
    model = random_model(generator, n_states, n_actions, n_seen)
    made = plain({**model, "transitions": model["transitions"].transpose(1, 0, 2)}, action_axis=0)
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


def test_what_cannot_be_seen_is_an_error(pomdp):
    model = pomdp(np.stack([np.eye(3)] * 2, axis=1), np.eye(3), discount=0.9)
    with pytest.raises(InvalidOptionError, match="observation 1 has probability 0 after action 0"):
        model.belief_update([1, 0, 0], 0, 1)
    np.testing.assert_array_equal(model.belief_update([0.2, 0.3, 0.5], 0, 2), [0, 0, 1])


def test_observations_may_depend_on_where_the_move_began(pomdp):
    model = random_model(np.random.default_rng(6), 3, 2, 2)
    spread = np.broadcast_to(model["observations"], (3, 2, 3, 2))
    belief = [0.2, 0.3, 0.5]
    one = pomdp(**model).belief_update(belief, 1, 0)
    other = pomdp(**{**model, "observations": spread}).belief_update(belief, 1, 0)
    np.testing.assert_allclose(one, other, atol=1e-15)
    # it is seen where the move began, after the fact
    tell = np.zeros((3, 2, 3, 3))
    tell[np.arange(3), :, :, np.arange(3)] = 1
    told = pomdp(**{**model, "observations": tell})
    np.testing.assert_allclose(told.belief_update(belief, 1, 2), model["transitions"][2, 1])


def test_rewards_and_transitions_in_every_form(pomdp):
    model = random_model(np.random.default_rng(7), 3, 2, 2)
    move, pay = model["transitions"], np.random.default_rng(1).normal(size=(3, 2, 3))
    flat, belief = (move * pay).sum(axis=2), np.array([0.2, 0.3, 0.5])
    for transitions, rewards in (
        (move, pay),
        (move, flat),
        (move.transpose(1, 0, 2), pay.transpose(1, 0, 2)),
        (move.transpose(1, 0, 2), flat),
    ):
        made = pomdp(transitions, model["observations"], rewards)
        np.testing.assert_allclose(made.expected_rewards(belief), belief @ flat, atol=1e-15)
        np.testing.assert_array_equal(
            made.belief_update(belief, 1, 0), pomdp(**model).belief_update(belief, 1, 0)
        )
    same = pomdp(move, model["observations"], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(same.expected_rewards(None), [2.0, 2.0])


def test_beliefs_need_no_rewards(pomdp):
    model = tiger()
    del model["rewards"]
    made = pomdp(**model)
    np.testing.assert_allclose(made.belief_update(None, 0, 0), [0.85, 0.15])
    with pytest.raises(InvalidModelError, match="rewards: missing"):
        made.expected_rewards(None)


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
    for call in (model.expected_rewards, lambda b: model.belief_update(b, 0, 0)):
        with pytest.raises(InvalidOptionError, match=text):
            call(belief)


def test_bad_options_are_refused_by_name():
    model = plain(tiger())
    for call, name in (
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
