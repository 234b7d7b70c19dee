"""Rust against Python: decision models compressed to the same bits, solved to the same policies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from helicopter.core import MDP
from helicopter.testing import assert_parity

pytestmark = pytest.mark.usefixtures("both_backends")

METHODS = ("auto", "value_iteration", "policy_iteration", "modified_policy_iteration")
PARTS = (
    "pair_start",
    "actions",
    "row_start",
    "columns",
    "probabilities",
    "rewards",
    "rewards_low",
)


def on_both(*arguments, make=MDP, **options):
    return [make(*arguments, use_rust_acceleration=rust, **options) for rust in (False, True)]


def random_model(seed, n_states, n_actions, by_target=False):
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.full(n_states, 0.3), size=(n_states, n_actions))
    chances[chances < 0.3 / n_states] = 0.0
    chances /= chances.sum(axis=2, keepdims=True)
    rewards = rng.normal(size=chances.shape if by_target else (n_states, n_actions))
    return chances, rewards, rng.random((n_states, n_actions)) < 0.9


def agree(python, rust):
    assert (python.backend, rust.backend) == ("python", "rust")
    assert_parity(python, rust)
    assert (python.lower <= rust.upper).all()
    assert (rust.lower <= python.upper).all()
    assert np.abs(python.value - rust.value).max() <= python.epsilon
    assert np.array_equal(python.q == -np.inf, rust.q == -np.inf)


@settings(max_examples=25)
@given(
    st.integers(0, 2**32),
    st.integers(1, 30),
    st.integers(1, 4),
    st.sampled_from([0.3, 0.9, 0.999]),
    st.sampled_from(METHODS),
    st.booleans(),
)
def test_dense_models(seed, n_states, n_actions, discount, method, by_target):
    chances, rewards, allowed = random_model(seed, n_states, n_actions, by_target)
    pair = on_both(chances, rewards, discount, allowed=allowed, action_axis=1)
    for name in PARTS:
        one, other = (getattr(made._model, name) for made in pair)
        assert one.dtype == other.dtype
        if name.startswith("rewards"):  # sums of two that are equal as a whole
            continue
        assert np.array_equal(one, other), name
    whole = [made._model.rewards + made._model.rewards_low for made in pair]
    assert whole[0] == pytest.approx(whole[1], rel=1e-15, abs=1e-15)
    agree(*(made.solve(method, 1e-7) for made in pair))


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(2, 40))
def test_pairs_with_duplicates_and_zeros_in_any_order(seed, n_states):
    rng = np.random.default_rng(seed)
    order = rng.permutation(3 * n_states)
    states, actions = np.divmod(order, 3)
    columns = rng.integers(n_states, size=(len(order), 4))
    weights = rng.integers(0, 4, size=columns.shape) / 4
    weights[:, 3] = 3 - weights[:, :3].sum(axis=1)
    matrix = sparse.csr_array(
        ((weights / 3).ravel(), columns.ravel(), np.arange(0, columns.size + 1, 4)),
        shape=(len(order), n_states),
    )
    rewards = rng.normal(size=len(order))
    pair = on_both(states, actions, matrix, rewards, 0.9, make=MDP.from_pairs)
    for name in PARTS:
        one, other = (getattr(made._model, name) for made in pair)
        if name == "probabilities":
            assert one == pytest.approx(other, rel=1e-15)
        else:
            assert np.array_equal(one, other), name
    agree(*(made.solve(epsilon=1e-9) for made in pair))


@pytest.mark.parametrize("horizon", [1, 12])
def test_horizons(horizon):
    chances, rewards, allowed = random_model(4, 12, 3)
    pair = on_both(chances, rewards, 0.97, allowed=allowed)
    agree(*(made.solve(horizon=horizon) for made in pair))


def test_without_a_discount():
    chances, rewards, allowed = random_model(6, 12, 3)
    allowed[-1] = False
    chances[:, :, -1] += 0.1
    chances /= chances.sum(axis=2, keepdims=True)
    agree(*(made.solve(epsilon=1e-9) for made in on_both(chances, rewards, 1.0, allowed=allowed)))


@pytest.mark.parametrize("kind", ["narrow", "wide"])
def test_larger_models(kind):
    rng = np.random.default_rng(3)
    n_states, n_pairs = 5000, 10_000
    states, actions = np.divmod(np.arange(n_pairs), 2)
    if kind == "narrow":
        columns = np.stack([(states + 1 + actions) % n_states, (states - 1) % n_states], axis=1)
    else:
        columns = rng.integers(n_states, size=(n_pairs, 2))
    chance = rng.random(n_pairs)
    matrix = sparse.csr_array(
        (
            np.stack([chance, 1 - chance], axis=1).ravel(),
            columns.ravel(),
            np.arange(0, 2 * n_pairs + 1, 2),
        ),
        shape=(n_pairs, n_states),
    )
    rewards = rng.normal(size=n_pairs)
    pair = on_both(states, actions, matrix, rewards, 0.999, make=MDP.from_pairs)
    agree(*(made.solve(epsilon=1e-8) for made in pair))


@pytest.mark.parametrize("wrong", [-0.1, np.nan, np.inf, 0.2])
def test_the_same_models_are_refused(wrong):
    chances, rewards, _ = random_model(1, 5, 2)
    chances[3, 1, 2] = wrong
    texts = []
    for rust in (False, True):
        with pytest.raises(ValueError, match="state 3, action 1") as caught:
            MDP(chances, rewards, use_rust_acceleration=rust)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
