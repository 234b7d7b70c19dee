"""Gittins indices of Bernoulli arms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicopter.core import gittins, gittins_index, gittins_table
from helicopter.errors import ConvergenceError, InvalidOptionError

#: Gittins, Glazebrook and Weber (2011), tables of Bernoulli indices; rounded as printed.
KNOWN = [
    (1, 1, 0.5, "0.5590"),
    (1, 1, 0.7, "0.6046"),
    (1, 1, 0.9, "0.70289"),
    (1, 1, 0.95, "0.76143"),
    (1, 1, 0.99, "0.86986"),
    (2, 2, 0.9, "0.63463"),
    (3, 3, 0.9, "0.60100"),
]

arms = st.tuples(st.floats(0.2, 30.0), st.floats(0.2, 30.0), st.floats(0.05, 0.95))


@pytest.mark.parametrize(("a", "b", "discount", "printed"), KNOWN)
def test_indices_are_those_of_the_books(a, b, discount, printed):
    found = gittins_index(a, b, discount)
    digits = len(printed.split(".")[1])
    assert f"{found.lower:.{digits}f}" == f"{found.upper:.{digits}f}" == printed
    assert found.lower <= float(found) <= found.upper <= found.lower + 1e-6


def test_the_table_has_the_indices_of_each_arm():
    table = gittins_table(6, 0.9, epsilon=1e-7)
    for a in range(1, 7):
        for b in range(1, 7):
            alone = gittins_index(a, b, 0.9, epsilon=1e-8)
            assert table.lower[a - 1, b - 1] <= alone.upper
            assert table.upper[a - 1, b - 1] >= alone.lower
    assert float((table.upper - table.lower).max()) <= 1e-7
    # the corner of the table for 0.9 in Gittins, Bandit processes and dynamic allocation (1979)
    np.testing.assert_allclose(
        table.value[:3, :3],
        [[0.7029, 0.5001, 0.3796], [0.8001, 0.6346, 0.5163], [0.8452, 0.7072, 0.6010]],
        atol=5e-5,
    )


def brute_force(a, b, discount, known, depth):
    """What an arm, or a known one from any time on, earns; cut off by 0 and by 1 a look."""
    if depth == 0:
        return known / (1 - discount), 1 / (1 - discount)
    mean = a / (a + b)
    good = brute_force(a + 1, b, discount, known, depth - 1)
    bad = brute_force(a, b + 1, discount, known, depth - 1)
    return tuple(
        max(known / (1 - discount), mean + discount * (mean * x + (1 - mean) * y))
        for x, y in zip(good, bad, strict=True)
    )


@given(st.floats(0.3, 8), st.floats(0.3, 8), st.floats(0.1, 0.6))
def test_the_bounds_agree_with_a_tree_of_looks(a, b, discount):
    found = gittins_index(a, b, discount)
    mean = a / (a + b)

    def gain(known):
        good = brute_force(a + 1, b, discount, known, 9)
        bad = brute_force(a, b + 1, discount, known, 9)
        low, high = (
            mean + discount * (mean * x + (1 - mean) * y) - known / (1 - discount)
            for x, y in zip(good, bad, strict=True)
        )
        return low, high

    assert gain(found.lower - 1e-9)[1] >= 0  # nothing below the index is better than the arm
    assert gain(found.upper + 1e-9)[0] <= 0  # and nothing above it is worse


@given(arms)
def test_an_index_lies_above_the_mean_and_moves_with_what_is_seen(arm):
    a, b, discount = arm
    here = gittins_index(a, b, discount)
    assert here.upper >= a / (a + b)
    assert here.lower >= a / (a + b) * (1 - 1e-15)
    assert gittins_index(a + 1, b, discount).upper > here.lower
    assert gittins_index(a, b + 1, discount).lower < here.upper
    assert gittins_index(a, b, min(discount + 0.04, 0.99)).upper >= here.lower


@given(arms)
def test_a_deeper_look_stays_within_the_bounds(arm):
    rough, fine = gittins_index(*arm, epsilon=1e-3), gittins_index(*arm, epsilon=1e-9)
    assert rough.lower <= fine.upper
    assert fine.lower <= rough.upper
    assert fine.depth >= rough.depth


def test_what_cannot_be_reached_is_said_with_the_bounds(monkeypatch):
    monkeypatch.setattr(gittins, "MAX_DEPTH", 64)
    with pytest.raises(ConvergenceError, match="64 looks") as caught:
        gittins_index(1, 1, 0.99)
    bounds = caught.value.solution
    assert bounds.lower < 0.86986 < bounds.upper
    with pytest.raises(ConvergenceError, match="64 looks") as caught:
        gittins_table(3, 0.99)
    assert caught.value.solution.lower[0, 0] < 0.86986 < caught.value.solution.upper[0, 0]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0, 1, 0.9), "successes"),
        ((1, -1, 0.9), "failures"),
        ((1, np.nan, 0.9), "failures"),
        (("1", 1, 0.9), "successes"),
        ((True, 1, 0.9), "successes"),
        ((1, 1, 1.0), "discount"),
        ((1, 1, 0.0), "discount"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, name):
    with pytest.raises(InvalidOptionError, match=f"^{name}: got"):
        gittins_index(*arguments)


def test_bad_options_are_refused_by_name():
    with pytest.raises(InvalidOptionError, match="epsilon"):
        gittins_index(1, 1, 0.9, epsilon=1e-12)
    with pytest.raises(InvalidOptionError, match=r"^n: got"):
        gittins_table(0, 0.9)


def test_a_result_reads_as_a_mapping():
    found = gittins_index(1, 1, 0.5)
    assert found["value"] == found.value == found.to_dict()["value"]
    assert found.discount == 0.5
