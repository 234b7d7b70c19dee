"""The tests of peaks: exact where the law is exponential, and what is known of the adjustments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from helicopter.core.anomalies._regions import (
    RADIUS,
    TAIL,
    adjusted,
    find_peaks,
    local_false_rate,
    peak_p_values,
)

P_VALUES = st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=60)


def heights(rng, count, tail=1.0):
    """Heights whose exp(TAIL * height) is exponential above 1."""
    return np.log1p(tail * rng.exponential(size=count)) / TAIL


# Peaks


def test_peaks_are_the_highest_around():
    rng = np.random.default_rng(0)
    scores = rng.random((70, 90)).astype(np.float32) + np.float32(0.1)
    peaks = find_peaks(scores)
    assert len(peaks.height) > 10
    for row, col, height in zip(*peaks, strict=True):
        around = scores[max(row - RADIUS, 0) : row + RADIUS + 1, max(col - RADIUS, 0) :][
            :, : RADIUS + min(col, RADIUS) + 1
        ]
        assert height == scores[row, col]
        assert height >= around.max() - 1e-3
    assert (np.diff(peaks.row * 90 + peaks.col) > 0).all()


def test_level_ground_makes_one_peak_and_hidden_or_low_ground_none():
    scores = np.zeros((60, 60), np.float32)
    assert len(find_peaks(scores).height) == 0
    scores[10:14, 10:14] = 1
    scores[40, 40] = 2
    scores[40, 41:] = np.nan
    scores[50, 10] = -1
    peaks = find_peaks(scores)
    assert [*zip(*peaks, strict=True)] == [(10, 10, 1.0), (40, 40, 2.0)]
    scores[12, 12] += np.float32(1e-6)  # the last digits make none
    assert len(find_peaks(scores).height) == 2
    assert len(find_peaks(np.full((30, 30), np.nan, np.float32)).height) == 0


# p-values


def test_p_values_are_even_where_nothing_is_wrong():
    rng = np.random.default_rng(1)
    least = []
    declared = 0
    for _ in range(2000):
        p = peak_p_values(heights(rng, 100))
        least.append(p.min())
        declared += bool((adjusted(p) <= 0.1).any())
    # any declaration at all would be false: one in ten such images may have one
    assert declared / 2000 == pytest.approx(0.1, abs=0.025)
    # the least of 100 even values
    expected = 1 - 0.9 ** (1 / 100)
    assert np.mean(np.array(least) <= expected) == pytest.approx(0.1, abs=0.025)


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_the_false_discovery_rate_is_kept_and_the_true_are_found(level):
    rng = np.random.default_rng(2)
    shares, found = [], []
    for _ in range(600):
        h = heights(rng, 200)
        h[:8] = np.log(1 + 25 + 5 * rng.random(8)) / TAIL
        chosen = adjusted(peak_p_values(h)) <= level
        shares.append(chosen[8:].sum() / max(chosen.sum(), 1))
        found.append(chosen[:8].mean())
    assert np.mean(shares) <= level
    assert np.mean(shares) > 0.2 * level  # a rate that is always 0 finds too little
    assert np.mean(found) > 0.9


def test_the_scale_of_the_law_does_not_matter_where_it_is_far_from_one():
    rng = np.random.default_rng(3)
    declared = [
        (adjusted(peak_p_values(heights(rng, 100, tail=50.0))) <= 0.1).any() for _ in range(1000)
    ]
    assert np.mean(declared) == pytest.approx(0.1, abs=0.035)


@given(st.lists(st.floats(0.0, 20.0), max_size=50))
def test_higher_peaks_are_never_more_probable(values):
    h = np.array(values)
    p = peak_p_values(h)
    assert p.shape == h.shape
    assert ((p >= 0) & (p <= 1)).all()
    order = np.argsort(h)
    assert (np.diff(p[order]) <= 1e-12).all()


def test_few_peaks_prove_nothing():
    assert (peak_p_values(np.array([1.0, 90.0])) == 1).all()
    assert len(peak_p_values(np.empty(0))) == 0


def test_equal_peaks_and_one_above():
    h = np.ones(50)
    h[3] = 2.0
    p = peak_p_values(h)
    assert p[3] < 1e-6
    assert (p[np.arange(50) != 3] > 0.5).all()


# q-values and local rates


@given(P_VALUES)
def test_q_values_are_those_of_scipy(values):
    np.testing.assert_allclose(adjusted(np.array(values)), false_discovery_control(values))


@given(P_VALUES)
def test_local_rates_grow_with_p_and_average_to_q(values):
    p = np.array(values)
    rate = local_false_rate(p)
    assert ((rate >= 0) & (rate <= 1)).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(rate[order]) >= -1e-9).all()
    # what is declared is false as often as its local rates say, but for those cut off at one
    q = adjusted(p)
    for level in (0.05, 0.3):
        chosen = q <= level
        if chosen.any() and rate[chosen].max() < 1:
            assert rate[chosen].mean() <= level + 1e-9


def test_local_rates_of_a_known_mixture():
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.random(9000), rng.random(1000) * 1e-3])
    rate = local_false_rate(p)
    # below 1e-3 there are 9 null values and 1000 others
    assert rate[p < 5e-4].mean() == pytest.approx(9 / 1009, rel=0.25)
    assert rate[p > 0.1].mean() > 0.95
    assert len(local_false_rate(np.empty(0))) == 0
