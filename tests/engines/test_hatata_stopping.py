"""The stopping policy: optimal, and what it does is what is said of it."""

import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betainc

from helicopter.backends.protocol import StoppingOptions
from helicopter.backends.reference.analysis.hatata_mdp import _last_level
from helicopter.core import StoppingPolicy
from helicopter.core.evidence._beta import beta_density, incomplete_beta
from helicopter.errors import InvalidOptionError

COSTS = {"cost_of_look": 0.004, "cost_of_false_accept": 2.0, "cost_of_false_reject": 0.7}


def short_of(share, prior, looks, successes):
    return betainc(prior[0] + successes, prior[1] + looks - successes, share)


# Optimal


def by_definition(share, prior, costs, horizon):
    """Value before the first look, and the least loss at every node, straight from the equation."""
    look, accept, reject = costs

    @cache
    def value(looks, successes):
        short = short_of(share, prior, looks, successes)
        stop = min(accept * short, reject * (1 - short))
        if looks == horizon:
            return stop
        up = (prior[0] + successes) / (sum(prior) + looks)
        on = up * value(looks + 1, successes + 1) + (1 - up) * value(looks + 1, successes)
        return min(stop, look + on)

    return value(0, 0)


shares = st.floats(0.05, 0.95)
priors = st.tuples(st.floats(0.2, 8), st.floats(0.2, 8))
costs_of = st.tuples(st.floats(0.0005, 0.2), st.floats(0.2, 5), st.floats(0.2, 5))


def made(hatata, share, prior, costs, horizon):
    return hatata().stopping_policy(
        share, prior=prior, cost_of_look=costs[0], cost_of_false_accept=costs[1],
        cost_of_false_reject=costs[2], max_looks=horizon,
    )  # fmt: skip


@given(shares, priors, costs_of, st.integers(1, 40))
def test_the_value_solves_the_equation(hatata, share, prior, costs, horizon):
    policy = made(hatata, share, prior, costs, horizon)
    expected = by_definition(share, prior, costs, horizon)
    assert policy.expected_loss == pytest.approx(expected, abs=1e-9)


@given(shares, priors, costs_of, st.integers(1, 60))
def test_what_the_boundaries_lead_to_costs_what_is_promised(hatata, share, prior, costs, horizon):
    # walks through all nodes with the boundaries alone: a wrong boundary would cost more
    policy = made(hatata, share, prior, costs, horizon)
    found = policy.operating_characteristics()
    assert found.expected_loss == pytest.approx(policy.expected_loss, abs=1e-9)
    assert found.accept + found.reject == pytest.approx(1, abs=1e-12)


def test_one_look_by_hand(hatata):
    # p uniform, 1/2 required, either error costs 1: one look lowers the loss from 1/2 to 1/4
    for cost, looks in ((0.24, 1), (0.26, 0)):
        policy = hatata().stopping_policy(0.5, cost_of_look=cost, max_looks=1)
        assert policy.expected_loss == pytest.approx(min(0.5, 0.25 + cost), abs=1e-12)
        assert policy.operating_characteristics().mean_looks == looks


def test_two_looks_in_exact_fractions(hatata):
    # p uniform, required 1/2; after n looks with s successes F is a sum of binomial terms
    def short(n, s):
        return sum(Fraction(math.comb(n + 1, k), 2 ** (n + 1)) for k in range(s + 1, n + 2))

    cost = Fraction(1, 50)

    def value(n, s):
        stop = min(short(n, s), 1 - short(n, s))
        if n == 2:
            return stop
        up = Fraction(s + 1, n + 2)
        return min(stop, cost + up * value(n + 1, s + 1) + (1 - up) * value(n + 1, s))

    policy = hatata().stopping_policy(0.5, cost_of_look=0.02, max_looks=2)
    assert policy.expected_loss == pytest.approx(float(value(0, 0)), abs=1e-14)


@given(shares, priors, costs_of)
def test_the_boundaries_leave_no_gap_and_no_overlap(hatata, share, prior, costs):
    policy = made(hatata, share, prior, costs, 50)
    found = policy.boundaries
    looks = np.arange(policy.max_looks + 1)
    assert (found.reject_at >= -1).all()
    assert (found.accept_from <= looks + 1).all()
    assert (found.reject_at < found.favour_from).all()
    assert (found.favour_from <= found.accept_from).all()
    assert found.reject_at[-1] + 1 == found.accept_from[-1] == found.favour_from[-1]


def test_losses_that_are_equal_mean_stop_and_reject(hatata):
    policy = hatata().stopping_policy(0.5, cost_of_look=0.25, max_looks=1)
    # both decisions cost 1/2, and a look costs exactly what it gains
    assert policy.boundaries.reject_at[0] == 0
    assert policy.boundaries.favour_from[0] == 1
    assert policy.expected_loss == 0.5


def test_dearer_looks_are_fewer_and_dearer_errors_rarer(hatata):
    cheap, dear = (
        hatata().stopping_policy(0.8, cost_of_look=cost).operating_characteristics()
        for cost in (0.002, 0.02)
    )
    assert dear.mean_looks < cheap.mean_looks
    assert dear.false_accept + dear.false_reject > cheap.false_accept + cheap.false_reject
    careful = hatata().stopping_policy(0.8, cost_of_look=0.002, cost_of_false_accept=20)
    assert careful.operating_characteristics().false_accept < cheap.false_accept / 4


# Without a limit


@pytest.mark.parametrize("share", [0.3, 0.8])
@pytest.mark.parametrize("prior", [(1, 1), (0.5, 3), (20, 4)])
def test_no_policy_is_better_where_no_later_look_is_worth_its_cost(hatata, share, prior):
    options = {**COSTS, "cost_of_look": 0.02, "prior": prior}
    policy = hatata().stopping_policy(share, **options)
    assert policy.unlimited
    assert policy.max_looks < 4096
    longer = StoppingPolicy(share, **options, max_looks=8 * policy.max_looks + 100)
    assert longer.max_looks == policy.max_looks
    # the equation itself, over twice as many looks, by the reference's functions
    options = StoppingOptions(share, tuple(map(float, prior)), 0.02, 2.0, 0.7,
                              2 * policy.max_looks, incomplete_beta(*prior, share),
                              beta_density(*prior, share))  # fmt: skip
    from helicopter.backends.reference.analysis.hatata_mdp import stopping_policy

    free = stopping_policy(options)
    end = policy.max_looks
    assert (free.reject_at[end:] + 1 == free.accept_from[end:]).all()
    assert free.value == pytest.approx(policy.expected_loss, abs=1e-12)


def test_a_limit_is_kept(hatata):
    policy = hatata().stopping_policy(0.8, max_looks=7)
    assert policy.max_looks == 7
    assert not policy.unlimited
    assert len(policy.boundaries.reject_at) == 8


def test_looks_that_cost_more_than_any_error_are_not_taken(hatata):
    policy = hatata().stopping_policy(0.8, cost_of_look=0.6)
    assert policy.max_looks == 0
    assert policy.unlimited
    assert policy.operating_characteristics(0.9).mean_looks == 0


# The lattice


@pytest.mark.parametrize(
    ("prior", "share", "looks"),
    [((1, 1), 0.8, 4096), ((0.5, 2.5), 0.3, 700), ((30, 2), 0.97, 900), ((0.01, 0.01), 0.5, 300),
     ((300, 500), 0.4, 500)],
)  # fmt: skip
def test_probabilities_on_the_lattice(prior, share, looks):
    start = incomplete_beta(*prior, share), beta_density(*prior, share)
    options = StoppingOptions(share, prior, 0.001, 1.0, 1.0, looks, *start)
    s = np.arange(looks + 1)
    np.testing.assert_allclose(
        _last_level(options), betainc(prior[0] + s, prior[1] + looks - s, share), atol=2e-13
    )


@given(st.floats(0.01, 3000), st.floats(0.01, 3000), st.floats(0.001, 0.999))
def test_the_starting_value(a, b, x):
    assert incomplete_beta(a, b, x) == pytest.approx(betainc(a, b, x), abs=1e-11)


# What it does


def simulate(policy, share, runs, rng):
    """Decisions (True: accept) and looks of many runs at once."""
    found = policy.boundaries
    successes, looks = np.zeros(runs, np.int64), np.zeros(runs, np.int64)
    accepted, open_ = np.zeros(runs, bool), np.arange(runs)
    for n in range(policy.max_looks + 1):
        s = successes[open_]
        stop = (s <= found.reject_at[n]) | (s >= found.accept_from[n])
        accepted[open_] = s >= found.accept_from[n]
        looks[open_] = n
        open_ = open_[~stop]
        if not open_.size:
            break
        chance = share if np.isscalar(share) else share[open_]
        successes[open_] += rng.random(open_.size) < chance
    return accepted, looks


@pytest.mark.parametrize("share", [0.6, 0.78, 0.8, 0.9])
def test_errors_and_looks_are_as_stated(hatata, share):
    policy = hatata().stopping_policy(0.8, **COSTS, max_looks=400)
    runs = 40_000
    accepted, looks = simulate(policy, share, runs, np.random.default_rng(int(1000 * share)))
    exact = policy.operating_characteristics(share)
    spread = math.sqrt(exact.accept * exact.reject / runs)
    assert abs(accepted.mean() - exact.accept) < 4 * spread
    assert abs(looks.mean() - exact.mean_looks) < 4 * looks.std() / math.sqrt(runs)
    wrong = exact.false_reject if share >= 0.8 else exact.false_accept
    assert wrong == (exact.reject if share >= 0.8 else exact.accept)


def test_errors_over_the_prior_are_as_stated(hatata):
    policy = hatata().stopping_policy(0.7, **COSTS, prior=(3, 2), max_looks=400)
    runs, rng = 40_000, np.random.default_rng(11)
    shares = rng.beta(3, 2, runs)
    accepted, looks = simulate(policy, shares, runs, rng)
    exact = policy.operating_characteristics()
    for wrong, stated in (
        ((accepted & (shares < 0.7)).mean(), exact.false_accept),
        ((~accepted & (shares >= 0.7)).mean(), exact.false_reject),
    ):
        assert abs(wrong - stated) < 4 * math.sqrt(stated * (1 - stated) / runs)
    assert abs(looks.mean() - exact.mean_looks) < 4 * looks.std() / math.sqrt(runs)


@pytest.mark.parametrize("share", [0, 1])
def test_at_the_ends_it_is_sure(hatata, share):
    found = hatata().stopping_policy(0.8).operating_characteristics(share)
    assert (found.accept, found.reject) == (share, 1 - share)
    assert found.expected_loss == pytest.approx(0.001 * found.mean_looks)


# Options


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"required_share": 0}, "required_share"),
        ({"required_share": 1.0}, "required_share"),
        ({"required_share": "most"}, "required_share"),
        ({"cost_of_look": -0.1}, "cost_of_look"),
        ({"cost_of_look": math.nan}, "cost_of_look"),
        ({"cost_of_false_accept": 0}, "cost_of_false_accept"),
        ({"cost_of_false_reject": math.inf}, "cost_of_false_reject"),
        ({"prior": (0, 1)}, "prior"),
        ({"prior": (1, 1, 1)}, "prior"),
        ({"prior": 2}, "prior"),
        ({"prior": (1, 1e7)}, "prior"),
        ({"max_looks": 0}, "max_looks"),
        ({"max_looks": 16385}, "max_looks"),
        ({"max_looks": 10.5}, "max_looks"),
    ],
)
def test_bad_options(hatata, options, named):
    with pytest.raises(InvalidOptionError, match=f"^{named}: got"):
        hatata().stopping_policy(**options)
    with pytest.raises(InvalidOptionError, match=f"^{named}: got"):
        hatata().verify([0.5], **options)
    with pytest.raises(InvalidOptionError, match=f"^{named}: got"):
        StoppingPolicy(**options)


def test_a_policy_is_found_once_and_cannot_be_changed(hatata):
    one, two = (hatata().stopping_policy(0.8, cost_of_look=0.03) for _ in range(2))
    assert one.boundaries.reject_at is two.boundaries.reject_at
    with pytest.raises(ValueError, match="read-only"):
        one.boundaries.reject_at[0] = 5


def test_a_true_share_must_be_a_share(hatata):
    with pytest.raises(InvalidOptionError, match=r"^share: got 1\.5"):
        hatata().stopping_policy(0.8, max_looks=3).operating_characteristics(1.5)
