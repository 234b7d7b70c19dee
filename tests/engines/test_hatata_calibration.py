"""Calibration tools, and the calibration of the verifier itself."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from helicopter.core import IsotonicCalibrator, expected_calibration_error, reliability_curve
from helicopter.errors import InvalidOptionError


def test_a_curve_by_hand():
    curve = reliability_curve([0.05, 0.15, 0.5, 0.55, 1.0, 0.0], [0, 1, 1, 0, 1, 0], bins=2)
    assert curve.counts.tolist() == [3, 3]
    assert curve.probability.tolist() == pytest.approx([0.2 / 3, 2.05 / 3])
    assert curve.frequency.tolist() == pytest.approx([1 / 3, 2 / 3])
    gaps = (1 / 3 - 0.2 / 3) + (2.05 / 3 - 2 / 3)
    assert curve.expected_calibration_error == pytest.approx(gaps / 2)
    squares = 0.05**2 + 0.85**2 + 0.5**2 + 0.55**2
    assert curve.brier_score == pytest.approx(squares / 6)
    assert curve.edges.tolist() == [0, 0.5, 1]


def test_empty_bins_say_nothing():
    curve = reliability_curve([0.1, 0.95], [False, True])
    assert curve.counts.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert np.isnan(curve.frequency[2:9]).all()
    assert np.isnan(curve.low[2:9]).all()
    assert curve.to_dict(arrays=True)["frequency"][2] is None


@given(st.integers(1, 200), st.data())
def test_intervals_are_those_of_wilson(n, data):
    k = data.draw(st.integers(0, n))
    curve = reliability_curve(np.full(n, 0.55), np.arange(n) < k)
    expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert (curve.low[5], curve.high[5]) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_right_probabilities_have_no_error_and_wrong_ones_have():
    rng = np.random.default_rng(1)
    stated = rng.random(200_000)
    true = rng.random(stated.size) < stated
    assert expected_calibration_error(stated, true) < 0.006
    # p -> p^2 is off by 1/6 on average
    assert expected_calibration_error(stated**2, true) == pytest.approx(1 / 6, abs=0.01)


def test_recalibration_makes_them_right():
    rng = np.random.default_rng(2)
    true_chance = rng.random(60_000)
    stated = true_chance**3
    outcomes = rng.random(stated.size) < true_chance
    calibrator = IsotonicCalibrator().fit(stated[::2], outcomes[::2])
    before = expected_calibration_error(stated[1::2], outcomes[1::2])
    after = expected_calibration_error(calibrator.apply(stated[1::2]), outcomes[1::2])
    assert before > 0.2
    assert after < 0.02


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_the_function_is_monotone_and_stays_among_probabilities(pairs):
    stated, true = (list(column) for column in zip(*pairs, strict=True))
    calibrator = IsotonicCalibrator().fit(stated, true)
    right = calibrator.apply(np.linspace(0, 1, 101))
    assert (np.diff(right) >= -1e-12).all()
    assert right.min() >= -1e-12
    assert right.max() <= 1 + 1e-12
    # the mean of all is kept (a property of isotonic regression)
    assert calibrator.apply(stated).mean() == pytest.approx(np.mean(true), abs=1e-9)


@pytest.mark.parametrize(
    ("probabilities", "outcomes", "named"),
    [
        ([0.5, 1.2], [0, 1], "probabilities"),
        ([0.5, math.nan], [0, 1], "probabilities"),
        ([], [], "probabilities"),
        ([[0.5]], [[1]], "probabilities"),
        ("high", [1], "probabilities"),
        ([0.5], [0.5], "outcomes"),
        ([0.5], [2], "outcomes"),
        ([0.5], [0, 1], "outcomes"),
        ([0.5], ["yes"], "outcomes"),
        ([0.5], None, "outcomes"),
    ],
)
def test_what_cannot_be_compared(probabilities, outcomes, named):
    for call in (reliability_curve, expected_calibration_error, IsotonicCalibrator().fit):
        with pytest.raises(InvalidOptionError, match=f"^{named}: got"):
            call(probabilities, outcomes)


def test_bad_use():
    with pytest.raises(InvalidOptionError, match=r"^bins: got 0"):
        reliability_curve([0.5], [1], bins=0)
    with pytest.raises(InvalidOptionError, match="nothing has been learnt"):
        IsotonicCalibrator().apply([0.5])
    with pytest.raises(InvalidOptionError, match=r"^probabilities: got 7"):
        IsotonicCalibrator().fit([0.5], [1]).apply([7])


def test_it_can_be_drawn():
    figure = reliability_curve([0.1, 0.9, 0.8], [0, 1, 0]).plot()
    low, high = figure.axes[0].get_xlim()
    assert low <= 0 < 1 <= high


# The verifier's own


@pytest.mark.parametrize("effective_looks", ["auto", "all"])
def test_the_stated_probability_is_right_on_independent_looks(hatata, effective_looks):
    # shares drawn from the prior; what is stated when the policy stops, and before
    rng = np.random.default_rng(9)
    stated, true = [], []
    for share in rng.random(2500):
        found = hatata().verify(
            (rng.random(150) < share).astype(float), required_share=0.7, cost_of_look=0.004,
            max_looks=150, effective_looks=effective_looks,
        )  # fmt: skip
        stated.append(found.understanding_probability)
        true.append(share >= 0.7)
    curve = reliability_curve(stated, true)
    # by chance alone it is about sum(sqrt(count p (1 - p))) / N, here some 0.006
    assert curve.expected_calibration_error < 0.02
    some = curve.counts >= 20
    assert (curve.probability[some] > curve.low[some] - 0.03).all()
    assert (curve.probability[some] < curve.high[some] + 0.03).all()
