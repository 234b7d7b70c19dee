"""The forms that a model may have, and what a solution offers."""

import pickle

import numpy as np
import pytest
from scipy import sparse

import helicopter
from helicopter.core import MDP, MDPSolution

METHODS = ("auto", "value_iteration", "policy_iteration", "modified_policy_iteration")


@pytest.fixture(scope="module")
def example():
    rng = np.random.default_rng(5)
    chances = rng.dirichlet(np.full(4, 0.4), size=(4, 3))
    chances[chances < 0.05] = 0
    chances /= chances.sum(axis=2, keepdims=True)
    return chances, rng.normal(size=(4, 3))


def same(one, other):
    assert np.allclose(one.value, other.value, rtol=0, atol=1e-9)
    assert np.array_equal(one.policy, other.policy)


def solved(made):
    return made.solve(epsilon=1e-10)


def test_all_forms_are_one_model(mdp, example):
    chances, rewards = example
    expected = solved(mdp(chances, rewards))
    by_action = np.ascontiguousarray(chances.transpose(1, 0, 2))
    stacked = sparse.csr_array(chances.reshape(12, 4))
    matrices = [sparse.csr_array(part) for part in by_action]
    for transitions in (
        by_action,
        chances.tolist(),
        np.asfortranarray(chances),
        chances.astype(">f8"),
        stacked,
        stacked.tocoo(),
        sparse.csc_matrix(stacked),
        matrices,
        tuple(sparse.coo_matrix(part) for part in matrices),
    ):
        made = mdp(transitions, rewards)
        assert (made.n_states, made.n_actions) == (4, 3)
        same(solved(made), expected)
        same(solved(mdp(transitions, rewards.tolist())), expected)
    steps = [
        (s, a, t, chances[s, a, t], rewards[s, a])
        for a in range(3)
        for s in reversed(range(4))
        for t in range(4)
    ]
    same(solved(mdp(iter(steps))), expected)


def test_rewards_by_next_state(mdp, example):
    chances, rewards = example
    paid = np.random.default_rng(1).normal(size=chances.shape)
    mean = (chances * paid).sum(axis=2)
    expected = solved(mdp(chances, mean))
    by_action = chances.transpose(1, 0, 2)
    paid_by_action = paid.transpose(1, 0, 2)
    stacked = sparse.csr_array(chances.reshape(12, 4))
    for transitions, amounts in (
        (chances, paid),
        (by_action, paid_by_action),
        (stacked, sparse.csr_array(paid.reshape(12, 4))),
        ([sparse.csr_array(p) for p in by_action], [sparse.coo_array(r) for r in paid_by_action]),
        ([sparse.csr_array(p) for p in by_action], paid_by_action),
        ([sparse.csr_array(p) for p in by_action], mean),
    ):
        same(solved(mdp(transitions, amounts)), expected)
    per_state = rewards[:, 0]
    expected = solved(mdp(chances, np.repeat(per_state[:, None], 3, axis=1)))
    for transitions in (chances, stacked, [sparse.csr_array(p) for p in by_action]):
        same(solved(mdp(transitions, per_state)), expected)


def test_actions_that_are_not_available(mdp, example):
    chances, rewards = example
    allowed = np.ones((4, 3), dtype=bool)
    allowed[0, 1] = allowed[2, 0] = allowed[2, 2] = False
    expected = solved(mdp(chances, rewards, allowed=allowed))
    marked = np.where(allowed, rewards, -np.inf)
    stacked = sparse.csr_array(chances.reshape(12, 4))
    by_action = chances.transpose(1, 0, 2)
    same(solved(mdp(chances, marked)), expected)
    same(solved(mdp(stacked, marked)), expected)
    same(solved(mdp([sparse.csr_array(p) for p in by_action], marked)), expected)
    same(solved(mdp(stacked, rewards, allowed=allowed)), expected)
    cube = np.repeat(marked[:, :, None], 4, axis=2)
    same(solved(mdp(chances, cube)), expected)
    assert np.array_equal(np.isfinite(expected.q), allowed)
    # what cannot be taken may hold anything
    broken = chances.copy()
    broken[~allowed] = np.nan
    same(solved(mdp(broken, rewards, allowed=allowed)), expected)


def test_pairs_in_any_order(backend, mdp, example):
    chances, rewards = example
    order = np.random.default_rng(0).permutation(12)
    states, actions = np.divmod(np.arange(12), 3)
    expected = solved(mdp(chances, rewards))
    options = {"use_rust_acceleration": backend == "rust"}
    for kind in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array, np.asarray):
        made = MDP.from_pairs(
            states[order],
            actions[order],
            kind(chances.reshape(12, 4)[order]),
            rewards.ravel()[order],
            **options,
        )
        assert made.backend == backend
        same(solved(made), expected)
    named = MDP.from_pairs(
        states,
        actions,
        chances.reshape(12, 4),
        rewards.ravel(),
        0.5,
        state_labels="abcd",
        action_labels=["x", "y", "z"],
        **options,
    )
    assert (named.states, named.actions, named.discount) == ("abcd", ["x", "y", "z"], 0.5)


def test_entries_are_added_up_and_zeros_dropped(backend):
    data, columns = [0.25, 0.5, 0.25, 0.0, 1.0], [1, 0, 1, 0, 1]
    made = MDP.from_pairs(
        [0, 1],
        [0, 0],
        sparse.csr_array((data, columns, [0, 3, 5]), shape=(2, 2)),
        [1, 2],
        use_rust_acceleration=backend == "rust",
    )
    assert made._model.columns.tolist() == [0, 1, 1]
    assert made._model.probabilities.tolist() == [0.5, 0.5, 1.0]
    assert made._model.row_start.tolist() == [0, 2, 3]


def test_tuples(mdp):
    steps = [
        ("rain", "wait", "rain", 0.25, -1),
        ("rain", "wait", "sun", 0.5, -1),
        ("rain", "wait", "rain", 0.25, 3),  # twice the same, another reward
        ("sun", "go", "home", 1, 10),
    ]
    made = mdp(steps, discount=0.5)
    assert list(made.states) == ["rain", "sun", "home"]
    assert list(made.actions) == ["wait", "go"]
    solution = solved(made)
    # rain: v = 0 + 0.25 v + 2.5
    assert solution.value == pytest.approx([10 / 3, 10, 0], abs=1e-9)
    assert solution.policy.tolist() == [0, 1, -1]
    again = mdp(steps, discount=0.5, states=["home", "sun", "rain"], actions=["go", "wait"])
    assert solved(again).value == pytest.approx([0, 10, 10 / 3], abs=1e-9)
    assert solved(again).policy.tolist() == [-1, 0, 1]
    numbers = mdp([(0, 0, 3, 1, 2.0), (3, 1, 0, 1, 0)])
    assert (numbers.n_states, numbers.n_actions) == (4, 2)
    assert numbers.states == range(4)
    assert solved(numbers).policy.tolist() == [0, -1, -1, 1]


def test_expected_rewards_are_held_to_twice_the_precision(mdp):
    from fractions import Fraction

    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(7), size=(7, 2))
    paid = 10.0 ** rng.integers(-3, 6, size=chances.shape) * rng.normal(size=chances.shape)
    model = mdp(chances, paid)._model
    for pair in range(14):
        exact = sum(
            Fraction(float(p)) * Fraction(float(r))
            for p, r in zip(chances.reshape(14, 7)[pair], paid.reshape(14, 7)[pair], strict=True)
        )
        held = Fraction(float(model.rewards[pair])) + Fraction(float(model.rewards_low[pair]))
        assert abs(held - exact) < Fraction(1, 2**95) * Fraction(float(np.abs(paid).max()))


@pytest.mark.parametrize("method", METHODS)
def test_a_solution(mdp, example, method):
    chances, rewards = example
    made = mdp(chances, rewards, 0.9)
    solution = made.solve(method, 1e-7)
    assert isinstance(solution, MDPSolution)
    assert solution.value.dtype == solution.lower.dtype == solution.upper.dtype == np.float64
    assert solution.policy.dtype == np.int64
    assert solution.width == (solution.upper - solution.lower).max() <= 1e-7
    assert (solution.lower <= solution.value).all()
    assert (solution.value <= solution.upper).all()
    assert solution.iterations >= 1
    assert (solution.criterion, solution.epsilon) == ("discounted", 1e-7)
    assert (solution.backend, solution.device) == (made.backend, "cpu")
    assert solution.seconds > 0
    assert np.allclose(solution.q, rewards + 0.9 * chances @ solution.value)
    assert np.array_equal(solution.q.argmax(axis=1), solution.policy)
    assert solution.q.max(axis=1) == pytest.approx(solution.value, abs=1e-6)
    assert solution["value"] is solution.value
    assert set(solution) == {
        "value", "lower", "upper", "policy", "width", "iterations", "method", "criterion",
        "epsilon", "backend", "device", "seconds",
    }  # fmt: skip
    assert solution.to_dict()["value"] == {"shape": [4], "dtype": "float64"}
    copy = pickle.loads(pickle.dumps(solution))
    assert np.array_equal(copy.q, solution.q)
    assert f"method={solution.method!r}" in repr(solution)


def test_ties_go_to_the_lowest_number(mdp):
    chances = np.tile(np.eye(3)[[1, 2, 0]][:, None], (1, 4, 1))
    rewards = np.array([[0, 1, 1, 1 + 1e-12], [2, 2, 2, 2], [0, 0, -1, 0]], dtype=float)
    for method in METHODS:
        assert mdp(chances, rewards, 0.99).solve(method, 1e-6).policy.tolist() == [1, 0, 0]
    # unless the difference is one that the bounds can tell
    assert mdp(chances, rewards, 0.5).solve(epsilon=1e-14).policy.tolist() == [3, 0, 0]


def test_special_models(mdp):
    alone = mdp([[[1.0]]], [[0.0]])
    assert solved(alone).value.tolist() == [0]
    nothing = mdp([[[1.0]]], [[-np.inf]])  # nothing can be done at all
    assert solved(nothing).value.tolist() == [0]
    assert solved(nothing).policy.tolist() == [-1]
    flat = mdp(np.full((5, 2, 5), 0.2), np.zeros((5, 2)))
    assert solved(flat).width < 1e-250
    assert solved(flat).value.tolist() == [0] * 5
    tiny = mdp(np.full((5, 2, 5), 0.2), np.full((5, 2), 1e-200))
    assert tiny.solve(epsilon=1e-190).value == pytest.approx([2e-199] * 5, rel=1e-6)


def test_many_actions_of_different_number(mdp):
    rng = np.random.default_rng(2)
    steps, best = [], []
    for state in range(50):
        rewards = rng.normal(size=rng.integers(1, 40))
        best.append(int(rewards.argmax()))
        steps += [(state, action, 50, 1, reward) for action, reward in enumerate(rewards)]
    solution = mdp(steps, discount=1).solve()
    assert solution.policy[:50].tolist() == best
    assert (solution.q[:50].argmax(axis=1) == best).all()


@pytest.mark.parametrize("shape", ["ring", "random", "tree"])
def test_larger_models(mdp, shape):
    rng = np.random.default_rng(7)
    n = 3000
    states, actions = np.divmod(np.arange(2 * n), 2)
    if shape == "ring":
        columns = np.stack([(states + 1 + actions) % n, (states - 1) % n])
    elif shape == "tree":
        columns = np.stack([states // 2, states // 3])
    else:
        columns = rng.integers(n, size=(2, 2 * n))
    chance = rng.random(2 * n)
    matrix = sparse.coo_array(
        (
            np.concatenate([chance, 1 - chance]),
            (np.tile(np.arange(2 * n), 2), columns.ravel()),
        ),
        shape=(2 * n, n),
    ).tocsr()
    rewards = rng.normal(size=(n, 2))
    found = [mdp(matrix, rewards, 0.99).solve(method, 1e-8) for method in METHODS]
    for one in found:
        assert one.width <= 1e-8
        assert (one.lower <= found[0].upper).all()
        assert (found[0].lower <= one.upper).all()
        residual = one.q.max(axis=1) - one.value
        assert np.abs(residual).max() < 1e-8


def test_progress(mdp, example):
    seen = []
    made = mdp(*example, discount=0.99)
    made.solve("value_iteration", 1e-8, progress=lambda done, total: seen.append((done, total)))
    assert len(seen) >= 1
    assert all(done <= total for done, total in seen)

    def stop(done, total):
        raise KeyboardInterrupt

    for method in METHODS:
        with pytest.raises(KeyboardInterrupt):
            made.solve(method, 1e-8, progress=stop)


def test_the_input_is_left_as_it_was(mdp, example):
    chances, rewards = example[0].copy(), example[1].copy()
    chances.flags.writeable = rewards.flags.writeable = False
    matrix = sparse.csr_array(chances.reshape(12, 4))
    before = [part.copy() for part in (matrix.data, matrix.indices, matrix.indptr)]
    for transitions in (chances, matrix):
        made = mdp(transitions, rewards)
        for method in METHODS:
            made.solve(method)
    assert np.array_equal(chances, example[0])
    for part, old in zip((matrix.data, matrix.indices, matrix.indptr), before, strict=True):
        assert np.array_equal(part, old)
    first = solved(mdp(chances, rewards))
    rewards.flags.writeable = True
    made = mdp(chances, rewards)
    rewards[:] = 0
    same(solved(made), first)


def test_it_is_loaded_on_use():
    assert helicopter.MDP is MDP
    assert "MDP" in dir(helicopter)


def test_rewards_by_next_state_where_there_is_only_one(mdp):
    # as many transitions as pairs: what is paid for a transition counts as often as it comes
    nearly = 1 - 5e-10
    made = mdp([(0, 0, 1, nearly, 1e6), (1, 0, 0, 1, 0)], discount=0.5)
    assert made._model.rewards[0] + made._model.rewards_low[0] == nearly * 1e6
    matrix = sparse.csr_array([[0, nearly], [1, 0]])
    by_target = mdp(matrix, sparse.csr_array([[0, 1e6], [0, 0]]))
    assert by_target._model.rewards[0] == nearly * 1e6
    assert mdp(matrix, np.array([[1e6], [0]]))._model.rewards[0] == 1e6


def test_pairs_from_strided_arrays(backend):
    states, actions = np.nonzero([[True, True], [False, True]])  # views that are not contiguous
    chances = sparse.csr_array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    rewards = np.array([1.0, 9.0, 2.0, 9.0, 3.0])[::2]
    model = MDP.from_pairs(
        states, actions, chances, rewards, 0.5, use_rust_acceleration=backend == "rust"
    )
    np.testing.assert_allclose(model.solve().value, [14 / 3, 6.0], atol=1e-6)


def test_a_model_can_be_pickled(mdp, example):
    made = mdp(*example)
    again = pickle.loads(pickle.dumps(made))
    assert again.backend == made.backend
    same(solved(again), solved(made))
