"""Wald's sequential test."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicopter.core import SequentialTest
from helicopter.core.gamblers_ruin import gamblers_ruin
from helicopter.errors import InvalidOptionError

between = st.floats(0.02, 0.98)


def test_four_steps_at_seventy_percent():
    # gambler's ruin, Feller vol. 1, XIV.2 and 3: ((7/3)^4) / (1 + (7/3)^4), and 4 (2 P - 1) / 0.4
    test = SequentialTest(0.3, 0.7, steps=4)
    found = test.characteristics(0.7)
    assert found.accept_p1 == pytest.approx(2401 / 2482, abs=1e-12)
    assert found.accept_p0 == pytest.approx(81 / 2482, abs=1e-12)
    assert found.expected_looks == pytest.approx(9.347300564, abs=5e-10)
    assert found.method == "gamblers_ruin"
    turned = test.characteristics(0.3)
    assert turned.accept_p0 == pytest.approx(2401 / 2482, abs=1e-12)


def ruin(p, down, up):
    p = Fraction(p)
    odds = (1 - p) / p
    win = Fraction(down, down + up) if odds == 1 else (1 - odds**down) / (1 - odds ** (down + up))
    looks = Fraction(down * up) if odds == 1 else (up * win - down * (1 - win)) / (2 * p - 1)
    return win, looks


@given(
    st.one_of(between, st.floats(-1e-3, 1e-3).map(lambda d: 0.5 + d), st.just(0.5)),
    st.integers(1, 60),
    st.integers(1, 60),
)
def test_ruin_agrees_with_fractions(p, down, up):
    win, looks = gamblers_ruin(p, down, up)
    right = ruin(p, down, up)
    assert win == pytest.approx(float(right[0]), rel=1e-12, abs=1e-300)
    assert looks == pytest.approx(float(right[1]), rel=1e-12)


@given(between, st.integers(1, 12), st.integers(1, 12))
def test_summing_forward_agrees_with_ruin(p, down, up):
    test = SequentialTest(0.3, 0.7, steps=(down, up))
    closed, summed = test.characteristics(p), test._forward(p, 1e-12, 0.0)
    assert abs(closed.accept_p1 - summed.accept_p1) <= summed.probability_error + 1e-13
    assert abs(closed.accept_p0 - summed.accept_p0) <= summed.probability_error + 1e-13
    off = abs(closed.expected_looks - summed.expected_looks)
    assert off <= summed.looks_error + closed.looks_error


def brute_force(test, p, most):
    """Go through all sequences of looks by numbers of successes, with fractions."""
    p = Fraction(p)
    alive, verdict, looks = {0: Fraction(1)}, {"p0": Fraction(0), "p1": Fraction(0)}, Fraction(0)
    for n in range(1, most + 1):
        looks += sum(alive.values())
        after = {}
        for successes, chance in alive.items():
            for more, factor in ((1, p), (0, 1 - p)):
                after[successes + more] = after.get(successes + more, Fraction(0)) + chance * factor
        alive = {}
        for successes, chance in after.items():
            ratio = test._ratio(n, successes)
            if ratio >= test.bounds[1]:
                verdict["p1"] += chance
            elif ratio <= test.bounds[0]:
                verdict["p0"] += chance
            else:
                alive[successes] = chance
    return verdict, looks, sum(alive.values())


@pytest.mark.parametrize(
    ("p0", "p1", "p"), [(0.1, 0.35, 0.2), (0.05, 0.6, 0.3), (0.4, 0.7, 0.4), (0.5, 0.9, 1.0)]
)
def test_the_sums_agree_with_fractions(p0, p1, p):
    test = SequentialTest(p0, p1, 0.1, 0.1)
    found = test.characteristics(p)
    assert found.method == "forward"
    verdict, looks, left = brute_force(test, p, 150)
    for name, chance in verdict.items():
        low, high = float(chance), float(chance + left)
        stated = getattr(found, f"accept_{name}")
        assert low - found.probability_error <= stated <= high + 1e-15
    assert found.expected_looks >= float(looks) - found.looks_error
    assert float(left) < 1e-3


def test_the_stated_errors_cover_what_was_cut_off():
    test = SequentialTest(0.1, 0.3)
    rough, fine = test.characteristics(0.2, epsilon=1e-2), test.characteristics(0.2)
    assert 0 < abs(rough.accept_p1 - fine.accept_p1) <= rough.probability_error
    assert abs(rough.expected_looks - fine.expected_looks) <= rough.looks_error


@given(between, between, st.floats(0.01, 0.3), st.floats(0.01, 0.3))
def test_wald_bounds_the_errors(one, other, alpha, beta):
    p0, p1 = sorted((one, other))
    if p1 - p0 < 0.15:
        p1 = p0 + 0.15 if p0 < 0.8 else p1
        p0 = p1 - 0.15
    test = SequentialTest(p0, p1, alpha, beta)
    # Wald (1947): P0(accept p1) <= alpha / (1 - beta), P1(accept p0) <= beta / (1 - alpha)
    assert test.characteristics(p0).accept_p1 <= alpha / (1 - beta) + 1e-9
    assert test.characteristics(p1).accept_p0 <= beta / (1 - alpha) + 1e-9
    for p in (0.0, p0, p1, 1.0):
        found = test.characteristics(p)
        assert found.accept_p0 + found.accept_p1 == pytest.approx(1, abs=1e-9)


def test_simulations_agree_within_three_standard_errors():
    test, p, runs = SequentialTest(0.4, 0.65, 0.1, 0.05), 0.55, 20_000
    generator = np.random.default_rng(5)
    alive, successes = np.arange(runs), np.zeros(runs, dtype=int)
    stopped, accepted = np.zeros(runs), np.zeros(runs, dtype=bool)
    for n in range(1, 2000):
        successes[alive] += generator.random(len(alive)) < p
        low, high = test.boundaries(n)
        up, down = successes[alive] >= high, successes[alive] <= low
        accepted[alive[up]] = True
        stopped[alive[up | down]] = n
        alive = alive[~(up | down)]
    assert len(alive) == 0
    found = test.characteristics(p)
    error = math.sqrt(found.accept_p1 * found.accept_p0 / runs)
    assert abs(accepted.mean() - found.accept_p1) <= 3 * error
    assert abs(stopped.mean() - found.expected_looks) <= 3 * stopped.std() / math.sqrt(runs)


@given(st.lists(st.booleans(), max_size=60))
def test_a_run_stops_where_the_updates_do(looks):
    one, other = SequentialTest(0.2, 0.5), SequentialTest(0.2, 0.5)
    drawn = iter(looks)
    state = one.run(drawn)
    for look in looks:
        decision = other.update(look)
        if decision != "continue":
            break
    assert state.decision == other.state.decision
    assert state.looks == other.state.looks
    assert len(list(drawn)) == len(looks) - state.looks  # no look was drawn in vain
    low, high = one.bounds
    inside = low < state.log_likelihood_ratio < high
    assert inside == (state.decision == "continue")
    if state.decision != "continue":
        assert one.update(True) == state.decision
        assert one.state.looks == state.looks
    one.reset()
    assert one.state.looks == 0
    assert one.state.decision == "continue"


def test_boundaries_are_what_decides():
    test = SequentialTest(0.3, 0.7, steps=4)
    assert test.boundaries(3) == (-1, 4)
    assert test.boundaries(4) == (0, 4)
    assert test.boundaries(10) == (3, 7)
    assert test.run([1] * 4).decision == "p1"


def test_equal_steps_are_found_in_bounds():
    bound = 4 * math.log(7 / 3)
    assert SequentialTest(0.3, 0.7, bounds=(-bound, bound)).steps == (4, 4)
    assert SequentialTest(0.3, 0.7, bounds=(-bound - 0.1, 0.1)).steps == (5, 1)
    assert SequentialTest(0.3, 0.6).steps is None


@pytest.mark.parametrize(
    ("arguments", "options", "name"),
    [
        ((0.5, 0.5), {}, "p0, p1"),
        ((0.6, 0.5), {}, "p0, p1"),
        ((0.0, 0.5), {}, "p0"),
        ((0.5, 1.0), {}, "p1"),
        ((0.2, 0.5, 0.6, 0.4), {}, "alpha, beta"),
        ((0.2, 0.5, 0.0), {}, "alpha"),
        ((0.2, 0.5), {"bounds": (1, 2)}, "bounds"),
        ((0.2, 0.5), {"bounds": 3}, "bounds"),
        ((0.2, 0.5), {"steps": 3}, "steps"),
        ((0.3, 0.7), {"steps": 0}, "steps"),
        ((0.3, 0.7, 0.1), {"steps": 3}, "alpha, beta, bounds, steps"),
        ((0.3, 0.7), {"steps": 3, "bounds": (-1, 1)}, "alpha, beta, bounds, steps"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, options, name):
    with pytest.raises(InvalidOptionError, match=f"^{name}"):
        SequentialTest(*arguments, **options)


@pytest.mark.parametrize("look", [2, "1", None, 0.5])
def test_a_look_is_yes_or_no(look):
    with pytest.raises(InvalidOptionError, match="look: got"):
        SequentialTest(0.2, 0.5).update(look)


def test_a_true_chance_is_a_chance():
    with pytest.raises(InvalidOptionError, match=r"^p: got"):
        SequentialTest(0.2, 0.5).characteristics(1.5)
