"""Looks that go together count as fewer; independent ones are left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicopter._shared.looks import FURTHEST, SEEN, LookCounter, correlation_time


def markov(rng, length, share, stay):
    """A chain of 0 and 1: with probability `stay` the next is the same, else drawn anew."""
    fresh = rng.random(length) < share
    keep = rng.random(length) < stay
    keep[0] = False
    source = np.maximum.accumulate(np.where(keep, 0, np.arange(length)))
    return fresh[source]


def by_definition(looks):
    """Geyer's estimate, in floating point."""
    y = np.asarray(looks, dtype=float)
    n = len(y)
    y = y - y.mean()
    spread = y @ y
    if n < 8 or spread < 1e-12:
        return 1.0
    rho = [y[: n - k] @ y[k:] / spread for k in range(min(n - 1, FURTHEST) + 1)]
    if (rho[1] + 1 / (n - 1)) * np.sqrt(n) < SEEN:
        return 1.0
    tau = 1 + 2 * rho[1]
    for k in range(2, len(rho) - 1, 2):
        if rho[k] + rho[k + 1] <= 0:
            break
        tau += 2 * (rho[k] + rho[k + 1])
    return min(max(tau, 1.0), n)


def counted(looks):
    counter = LookCounter(None)
    for look in looks:
        counter.add(bool(look))
    return counter


@given(st.lists(st.integers(1, 12), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_the_time_is_geyers(runs, seed):
    rng = np.random.default_rng(seed)
    looks = np.repeat(rng.random(len(runs)) < 0.5, runs)
    assert counted(looks).time() == pytest.approx(by_definition(looks), rel=1e-9)


@given(st.lists(st.booleans(), max_size=300))
def test_no_more_than_there_were(looks):
    effective, successes = counted(looks).effective()
    assert 0 <= successes <= effective <= len(looks)
    if looks:
        assert effective >= 1
        assert successes / effective == pytest.approx(np.mean(looks))


@pytest.mark.parametrize("stay", [0.3, 0.6, 0.8])
def test_the_time_of_a_chain_is_found(stay):
    rng = np.random.default_rng(4)
    chains = [markov(rng, 3000, 0.6, stay) for _ in range(20)]
    for estimate in (lambda looks: counted(looks).time(), correlation_time):
        found = np.median([estimate(chain) for chain in chains])
        assert found == pytest.approx((1 + stay) / (1 - stay), rel=0.2)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_of_all_the_evidence_it_is_no_less(runs, seed):
    rng = np.random.default_rng(seed)
    looks = np.repeat(rng.random(len(runs)) < 0.5, runs)
    counter = counted(looks)
    found = correlation_time(looks)
    assert counter.time() <= found * (1 + 1e-12)
    assert 1 <= found <= len(looks)


def test_batch_means_see_what_goes_together_over_long_stretches():
    # each stretch of 1000 has a share of its own, within which looks are independent
    rng = np.random.default_rng(3)
    looks = rng.random(40_000) < np.repeat(rng.uniform(0.1, 0.9, 40), 1000)
    variance = looks.reshape(40, 1000).mean(axis=1).var(ddof=1)
    expected = 1000 * variance / looks.var()
    assert counted(looks).time() < 0.4 * expected
    assert correlation_time(looks) == pytest.approx(expected, rel=0.4)


def test_independent_looks_are_left_alone():
    rng = np.random.default_rng(6)
    looks = [rng.random(200) < 0.7 for _ in range(400)]
    assert np.mean([counted(each).time() > 1 for each in looks]) < 0.03
    assert np.mean([correlation_time(each) > 1 for each in looks]) < 0.03


def test_looks_that_come_one_by_one_count_as_they_come(hatata):
    rng = np.random.default_rng(1)
    # alternating at first, so that it is not decided within the first run
    looks = np.concatenate([np.tile([True, True, True, False], 10), markov(rng, 900, 0.75, 0.6)])
    found = hatata().verify(iter(looks.astype(float)), required_share=0.75, cost_of_look=1e-4)
    assert found.evidence_used > 100
    for step in found.trajectory[::50]:
        expected = counted(looks[: step.look]).effective()
        assert (step.effective_looks, step.effective_successes) == expected
    assert found.effective_looks < 0.7 * found.evidence_used


def test_evidence_that_is_all_there_tells_how_it_goes_together_before_the_first_look(hatata):
    looks = np.repeat([1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0], 25)
    found = hatata().verify(looks, required_share=0.5)
    tau = correlation_time(looks > 0)
    assert tau > 10
    for step in found.trajectory:
        assert step.effective_looks == step.look / tau
    # the first run alone, of 75 successes, would have been enough
    assert hatata().verify(looks[:75], required_share=0.5).decision == "accept"
    assert found.evidence_used > 25


def test_all_count_if_asked(hatata):
    looks = np.repeat([1.0, 0.0, 1.0, 1.0], 12)
    options = {"required_share": 0.7, "cost_of_look": 1e-4}
    auto = hatata().verify(looks, **options)
    everything = hatata().verify(looks, **options, effective_looks="all")
    assert everything.effective_looks == everything.evidence_used
    assert auto.effective_looks < auto.evidence_used / 2
    step = auto.trajectory[-1]
    assert step.effective_successes / step.effective_looks == pytest.approx(
        auto.successes / auto.evidence_used
    )


def test_correlated_evidence_is_not_over_confident(hatata):
    # chains with the same number of looks: what is stated without the correction is too sure
    rng = np.random.default_rng(8)
    squares = {"auto": 0.0, "all": 0.0}
    for share in rng.beta(4, 2, 250):
        looks = markov(rng, 250, share, 0.75).astype(float)
        for mode in squares:
            found = hatata().verify(
                looks, required_share=0.7, prior=(4, 2), cost_of_look=0.0005, max_looks=250,
                effective_looks=mode,
            )  # fmt: skip
            squares[mode] += (found.understanding_probability - (share >= 0.7)) ** 2
    assert squares["auto"] < 0.75 * squares["all"]
