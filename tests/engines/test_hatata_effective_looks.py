"""Looks that go together count as fewer; independent ones are left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicopter.backends.reference.effective_looks import FURTHEST, SEEN, LookCounter


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
    counter = LookCounter(independent=False)
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
    found = [counted(markov(rng, 3000, 0.6, stay)).time() for _ in range(20)]
    assert np.median(found) == pytest.approx((1 + stay) / (1 - stay), rel=0.15)


def test_independent_looks_are_left_alone():
    rng = np.random.default_rng(6)
    times = np.array([counted(rng.random(200) < 0.7).time() for _ in range(400)])
    assert (times > 1).mean() < 0.03


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
