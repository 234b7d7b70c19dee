"""Transition probabilities learnt from episodes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse, stats

from helicopter.core import MDP, TransitionPosterior
from helicopter.errors import InvalidModelError, InvalidOptionError


@pytest.fixture(scope="module")
def posterior(backend):
    """Make a posterior whose models are on the backend under test."""

    def make(*arguments, **options):
        made = TransitionPosterior(*arguments, use_rust_acceleration=backend == "rust", **options)
        assert made.backend == backend
        return made

    return make


def plain(*arguments, **options):
    """A posterior that makes no models."""
    return TransitionPosterior(*arguments, use_rust_acceleration=False, **options)


STEPS = [(0, 0, 1.0, 1), (1, 0, 0.0, 0), (0, 0, 3.0, 1), (0, 1, -1.0, 0), (0, 0, 2.0, 0)]


def test_counts_and_means_are_those_of_a_dirichlet():
    learnt = plain(2, 2, prior=0.5)
    learnt.update(STEPS)
    assert learnt.n_seen == 5
    np.testing.assert_array_equal(learnt.counts, [[[1, 2], [1, 0]], [[1, 0], [0, 0]]])
    found = learnt.interval()
    np.testing.assert_allclose(
        found.mean, [[[1.5 / 4, 2.5 / 4], [0.75, 0.25]], [[0.75, 0.25], [0.5, 0.5]]], rtol=1e-15
    )
    assert found.next_states[1, 0, 1] == 1
    assert found.states[1, 0, 1] == 1
    assert found.actions[1, 0, 1] == 0


def test_however_steps_come_they_count_the_same():
    forms = [
        STEPS,
        [STEPS[:2], STEPS[2:]],
        [tuple(STEPS)],
        iter(STEPS),
        np.array(STEPS),
        [np.array(STEPS[:4]), np.array(STEPS[4:])],  # the first is four by four
    ]
    for form in forms:
        learnt = plain(2, 2)
        learnt.update(form)
        np.testing.assert_array_equal(learnt.counts, [[[1, 2], [1, 0]], [[1, 0], [0, 0]]])
    arrays = plain(2, 2)
    arrays.update_arrays(*(np.array(column) for column in zip(*STEPS, strict=True)))
    np.testing.assert_array_equal(arrays.counts, learnt.counts)
    arrays.update([])
    assert arrays.n_seen == 5


def test_labels_stand_for_numbers():
    learnt = plain(2, 2, states=["up", ("down", 1)], actions=["go", "stay"])
    learnt.update([("up", "go", 1, ("down", 1)), (("down", 1), "stay", 0, ("down", 1))])
    assert learnt.counts[0, 0, 1] == 1
    assert learnt.counts[1, 1, 1] == 1
    assert learnt.states == ("up", ("down", 1))
    with pytest.raises(InvalidOptionError, match="step 0: state: got 'left'; expected one of 'up'"):
        learnt.update([("left", "go", 1, "up")])
    with pytest.raises(InvalidOptionError, match="step 0: action: got 'jump'"):
        learnt.update([("up", "jump", 1, "up")])


def test_intervals_are_quantiles_of_beta():
    learnt = plain(3, 1, prior=[[[1, 2, 0.5]], [[0, 1, 1]], [[0, 0, 3]]])
    learnt.update([(0, 0, 0, 0)] * 4 + [(1, 0, 0, 1)])
    found = learnt.interval(0.9)
    weights = np.array([5, 2, 0.5])
    right = stats.beta(weights, weights.sum() - weights)
    np.testing.assert_allclose(found.lower[0, 0], right.ppf(0.05), rtol=1e-9)
    np.testing.assert_allclose(found.upper[0, 0], right.ppf(0.95), rtol=1e-9)
    assert found.lower[1, 0, 0] == found.upper[1, 0, 0] == 0  # it cannot be
    assert found.lower[2, 0, 2] == found.upper[2, 0, 2] == 1  # and nothing else can
    assert found.level == 0.9


@pytest.mark.parametrize("weights", [(1.0, 1.0), (2.0, 1.0, 0.5), (0.2, 0.3, 0.1, 0.4)])
def test_intervals_cover_what_the_prior_draws(weights):
    """Over draws from the prior, an interval of the posterior holds the truth in 95 % of cases."""
    draws, seen = 100_000, 7
    generator = np.random.default_rng(17)
    size = len(weights)
    truth = generator.dirichlet(weights, draws)
    counts = generator.multinomial(seen, truth)
    # every draw is a state of its own, with its own next states
    columns = (np.arange(draws)[:, None] * size + np.arange(size)).ravel() % draws
    columns = np.sort(columns.reshape(draws, size), axis=1)
    prior = sparse.csr_array(
        (np.tile(weights, draws), columns.ravel(), np.arange(draws + 1) * size),
        shape=(draws, draws),
    )
    learnt = plain(draws, 1, prior)
    states = np.repeat(np.arange(draws), seen)
    after = np.repeat(columns.ravel(), counts.ravel())
    learnt.update_arrays(states, np.zeros_like(states), np.zeros(len(states)), after)
    found = learnt.interval(0.95)
    lower, upper = (end.reshape(draws, size) for end in (found.lower, found.upper))
    covered = ((lower <= truth) & (truth <= upper)).mean(axis=0)
    np.testing.assert_allclose(covered, 0.95, atol=3e-3)


def test_draws_are_those_of_a_dirichlet():
    weights = np.array([0.05, 1.0, 2.5])
    learnt = plain(3, 1, prior=np.tile(weights, (3, 1)).reshape(3, 1, 3))
    generator = np.random.default_rng(3)
    rows = np.array([learnt._draw(generator).reshape(3, 3) for _ in range(4000)])
    mean, total = weights / weights.sum(), weights.sum()
    spread = np.sqrt(mean * (1 - mean) / (total + 1))
    np.testing.assert_allclose(rows.mean(axis=(0, 1)), mean, atol=4 * spread.max() / 12000**0.5)
    np.testing.assert_allclose(rows.std(axis=(0, 1)), spread, rtol=0.05)
    # each column by itself is a Beta variable
    for column in range(3):
        law = stats.beta(weights[column], total - weights[column])
        assert stats.kstest(rows[:, 0, column], law.cdf).pvalue > 1e-3


def test_draws_of_tiny_weights_are_still_probabilities():
    learnt = plain(4, 1, prior=1e-4)
    drawn = learnt._draw(np.random.default_rng(0)).reshape(4, 4)
    np.testing.assert_allclose(drawn.sum(axis=1), 1.0, rtol=1e-15)
    assert (drawn.max(axis=1) > 0.99).all()


def test_a_seed_says_everything(posterior):
    learnt, again = posterior(3, 2), plain(3, 2)
    for made in (learnt, again):
        made.update([(0, 1, 1.0, 2), (2, 0, 2.0, 2)])
    for one, other in zip(learnt.sample(8, 3), again.sample(8, 3), strict=True):
        np.testing.assert_array_equal(one._model.probabilities, other._model.probabilities)
    assert not np.array_equal(
        learnt.sample(9)[0]._model.probabilities, learnt.sample(8)[0]._model.probabilities
    )


def test_the_mean_model_pays_what_was_seen(posterior):
    learnt = posterior(2, 2)
    learnt.update(STEPS)
    model = learnt.mean(0.5)
    np.testing.assert_allclose(model._model.rewards, [2.0, -1.0, 0.0, 0.0])
    assert model.discount == 0.5
    known = posterior(2, 2, rewards=[[1, 2], [3, 4]])
    known.update(STEPS)
    np.testing.assert_array_equal(known.mean()._model.rewards, [1, 2, 3, 4])
    right = MDP(
        learnt.interval().mean,
        [[2.0, -1.0], [0.0, 0.0]],
        0.5,
        action_axis=1,
        use_rust_acceleration=False,
    )
    np.testing.assert_allclose(model.solve().value, right.solve().value, atol=2e-6)


def test_much_evidence_leaves_little_open(posterior):
    truth = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [0.1, 0.9]]])
    rewards = np.array([[1.0, 0.0], [0.0, 2.0]])
    solved = MDP(truth, rewards, 0.9, action_axis=1, use_rust_acceleration=False).solve()
    generator = np.random.default_rng(2)
    widths = []
    for steps in (30, 3000):
        learnt = posterior(2, 2, rewards=rewards)
        state, action = generator.integers(0, 2, (2, steps))
        after = (generator.random(steps) < truth[state, action, 1]).astype(int)
        learnt.update_arrays(state, action, np.zeros(steps), after)
        found = learnt.value_interval(0.9, 0.99, n_samples=60, seed=4)
        assert ((found.lower <= solved.value) & (solved.value <= found.upper)).all()
        assert (found.lower <= found.mean).all()
        assert (found.mean <= found.upper).all()
        # the policy of the mean model cannot earn more than the best one of each model
        assert (found.policy_mean <= found.mean + 1e-5).all()
        assert (found.policy_lower <= found.lower + 1e-5).all()
        widths.append((found.upper - found.lower).max())
    assert widths[1] < widths[0] / 3
    np.testing.assert_array_equal(found.policy, solved.policy)


def test_a_given_policy_is_judged(posterior):
    learnt = posterior(2, 2, rewards=[[1, 0], [1, 0]])
    found = learnt.value_interval(0.5, n_samples=5, policy=[0, 0])
    # to be paid 1 at each step is worth 2, whatever happens
    np.testing.assert_allclose(found.policy_lower, 2.0, atol=1e-5)
    np.testing.assert_allclose(found.upper, 2.0, atol=1e-5)
    idle = learnt.value_interval(0.5, n_samples=5, policy=[1, 1])
    np.testing.assert_allclose(idle.policy_upper, 0.0, atol=1e-5)
    assert (idle.policy == 1).all()


def test_sparse_priors_in_both_forms(posterior):
    dense = np.zeros((3, 2, 3))
    dense[0, 0, 1] = 2.0
    dense[0, 1, [0, 2]] = 1.0, 0.5
    dense[1, 0, 2] = 1.0
    tall = posterior(3, 2, sparse.csr_array(dense.reshape(6, 3)))
    each = posterior(3, 2, [sparse.csr_array(dense[:, action]) for action in range(2)])
    full = posterior(3, 2, dense)
    for learnt in (tall, each, full):
        learnt.update([(0, 1, 4.0, 2), (0, 0, 1.0, 1)])
        assert learnt.mean().solve().policy.tolist()[1:] == [0, -1]  # state 2 is terminal
    shown = full.interval()
    for found in (tall.interval(), each.interval()):
        where = found.states, found.actions, found.next_states
        assert found.mean.shape == (4,)
        np.testing.assert_array_equal(found.mean, shown.mean[where])
        np.testing.assert_array_equal(found.upper, shown.upper[where])
    np.testing.assert_array_equal(tall.counts, [1, 0, 1, 0])
    judged = tall.value_interval(n_samples=5, policy=[0, 0, -1])
    assert judged.policy_upper[2] == 0
    assert judged.upper[2] == 0


def test_an_impossible_step_is_refused_and_none_is_taken_in():
    learnt = plain(2, 1, prior=[[[1, 0]], [[1, 1]]], states=("a", "b"))
    with pytest.raises(InvalidOptionError, match=r"step 1: the prior has no weight for state 0"):
        learnt.update([("b", 0, 0, "a"), ("a", 0, 0, "b")])
    assert learnt.n_seen == 0


@given(st.integers(1, 4), st.integers(1, 3), st.data())
def test_means_and_intervals_are_probabilities(n_states, n_actions, data):
    learnt = plain(n_states, n_actions, prior=data.draw(st.floats(0.05, 3)))
    state, action = st.integers(0, n_states - 1), st.integers(0, n_actions - 1)
    learnt.update(data.draw(st.lists(st.tuples(state, action, st.floats(-5, 5), state))))
    found = learnt.interval(data.draw(st.floats(0.01, 0.99)))
    np.testing.assert_allclose(found.mean.sum(axis=2), 1.0, rtol=1e-12)
    assert ((found.lower >= 0) & (found.lower <= found.upper) & (found.upper <= 1)).all()
    assert learnt.counts.sum() == learnt.n_seen


@pytest.mark.parametrize(
    "prior", [0, -1.0, np.nan, "one", np.ones((2, 2)), np.zeros((2, 1, 2)), -np.ones((2, 1, 2))]
)
def test_a_bad_prior_is_refused(prior):
    with pytest.raises(InvalidModelError, match=r"^prior: "):
        plain(2, 1, prior)


def test_bad_input_is_refused_by_name():
    learnt = plain(2, 1)
    for wrong, text in [
        ([(0, 0, 0.0, 2)], "step 0: next state: got 2; expected a number from 0 to 1"),
        ([(0, 0, 0.0, 0), (0, 1, 0.0, 0)], "step 1: action: got 1"),
        ([(0, 0, np.nan, 0)], "step 0: reward: got nan"),
        ([(0, 0, 0.0)], "step 0: got"),
        (5, "episodes: got int"),
        ([(0.5, 0, 0.0, 0)], "step 0: state: got 0.5"),
    ]:
        with pytest.raises(InvalidOptionError, match=text):
            learnt.update(wrong)
    assert learnt.n_seen == 0
    with pytest.raises(InvalidOptionError, match="n_states"):
        plain(0, 1)
    with pytest.raises(InvalidModelError, match="rewards"):
        plain(2, 1, rewards=[1, 2, 3])
    with pytest.raises(InvalidOptionError, match="level"):
        learnt.interval(1.0)
    with pytest.raises(InvalidOptionError, match="policy"):
        learnt.value_interval(policy=[0, 1])
    with pytest.raises(InvalidOptionError, match="policy: state 1: got action -1"):
        learnt.value_interval(policy=[0, -1])
    with pytest.raises(InvalidOptionError, match="states: got 1 labels"):
        plain(2, 1, states=["a"])
