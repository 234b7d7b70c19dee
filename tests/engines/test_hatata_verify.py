"""The verifier: what it says of evidence, and how much of it it takes."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import scene
from scipy.stats import beta

from helicopter.core import PatchScore
from helicopter.errors import InvalidOptionError

GOOD, BAD = 0.9, 0.2


def evidence(successes):
    return [GOOD if success else BAD for success in successes]


# Probability, interval, loss


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.floats(0.1, 0.9), st.floats(0.5, 0.99))
def test_the_posterior_of_independent_looks(hatata, successes, share, level):
    found = hatata().verify(
        evidence(successes), required_share=share, prior=(2, 1.5), credible_level=level,
        cost_of_look=0.0, max_looks=500, effective_looks="all",
    )  # fmt: skip
    used = found.evidence_used
    s = sum(successes[:used])
    law = beta(2 + s, 1.5 + used - s)
    assert found.successes == s
    assert found.effective_looks == used
    assert found.understanding_probability == pytest.approx(law.sf(share), abs=1e-10)
    assert found.credible_interval == pytest.approx(law.interval(level), abs=1e-9)
    assert found.understood_share == pytest.approx(law.mean())
    for step in found.trajectory:
        s = sum(successes[: step.look])
        law = beta(2 + s, 1.5 + step.look - s)
        assert step.success == successes[step.look - 1]
        assert step.probability == pytest.approx(law.sf(share), abs=1e-10)
        assert (step.low, step.high) == pytest.approx(law.interval(level), abs=1e-9)
        assert step.expected_loss == pytest.approx(min(law.sf(share), law.cdf(share)), abs=1e-10)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("prior", [(1, 1), (0.5, 0.5), (0.1, 3), (1e6, 1e6), (1e5, 2)])
def test_intervals_hold_their_level(hatata, level, prior):
    found = hatata().verify([GOOD] * 5 + [BAD] * 2, prior=prior, credible_level=level)
    s, used = found.successes, found.evidence_used
    law = beta(prior[0] + s, prior[1] + used - s)
    low, high = found.credible_interval
    assert law.cdf(low) == pytest.approx((1 - level) / 2, abs=1e-7)
    assert law.sf(high) == pytest.approx((1 - level) / 2, abs=1e-7)


@pytest.mark.parametrize("level", [0.95])
def test_intervals_cover_the_share(hatata, level):
    rng = np.random.default_rng(7)
    covered, runs = 0, 1500
    for share in rng.beta(2, 1, runs):
        looks = np.where(rng.random(25) < share, GOOD, BAD)
        # looks that cost nothing: all of them are taken
        found = hatata().verify(
            looks, prior=(2, 1), cost_of_look=0.0, max_looks=26, required_share=0.5,
            credible_level=level, effective_looks="all",
        )  # fmt: skip
        if found.evidence_used < 25:  # decided in the middle, where nothing can change any more
            law = beta(2 + found.successes, 1 + found.evidence_used - found.successes)
            assert found.understanding_probability == pytest.approx(law.sf(0.5), abs=1e-9)
        covered += found.credible_interval[0] <= share <= found.credible_interval[1]
    assert abs(covered / runs - level) < 4 * math.sqrt(level * (1 - level) / runs)


def test_the_loss_is_that_of_the_decision(hatata):
    options = {"cost_of_false_accept": 3.0, "cost_of_false_reject": 0.5}
    accepted = hatata().verify([GOOD] * 200, **options)
    assert accepted.decision == "accept"
    short = 1 - accepted.understanding_probability
    assert accepted.expected_loss == pytest.approx(3 * short, rel=1e-9)
    rejected = hatata().verify([BAD] * 200, **options)
    assert rejected.decision == "reject"
    assert rejected.expected_loss == pytest.approx(0.5 * rejected.understanding_probability)


# Stopping


def test_it_stops_where_the_policy_says(hatata):
    policy = hatata().stopping_policy(0.6, cost_of_look=0.01)
    rng = np.random.default_rng(3)
    for share in (0.2, 0.5, 0.6, 0.7, 0.95):
        successes = rng.random(2000) < share
        found = hatata().verify(
            evidence(successes), required_share=0.6, cost_of_look=0.01, effective_looks="all"
        )
        n = found.evidence_used
        totals = np.concatenate([[0], np.cumsum(successes)])[: n + 1]
        looks = np.arange(n + 1)
        reject = totals <= policy.boundaries.reject_at[looks]
        accept = totals >= policy.boundaries.accept_from[looks]
        assert not (reject | accept)[:-1].any()
        assert {"accept": accept[-1], "reject": reject[-1]}[found.decision]


def test_evidence_that_ends_too_soon_is_not_enough(hatata):
    found = hatata().verify([GOOD, GOOD, BAD])
    assert found.decision == "continue"
    assert found.evidence_used == 3
    assert found.action != "converge"
    # unless it must be decided
    assert hatata().verify([GOOD, GOOD, BAD], max_looks=3).decision == "reject"
    # all n uniform looks good: the share is at least 0.8 with probability 1 - 0.8^(n + 1)
    assert hatata().verify([GOOD] * 2, max_looks=2).decision == "reject"
    assert hatata().verify([GOOD] * 3, max_looks=3).decision == "accept"


def test_a_look_that_costs_too_much_is_not_taken(hatata):
    taken = []
    found = hatata().verify((taken.append(q) or q for q in [GOOD] * 5), cost_of_look=0.7)
    assert taken == []
    assert (found.evidence_used, found.trajectory, found.decision) == (0, (), "reject")
    assert found.understanding_probability == pytest.approx(0.2)


@pytest.mark.parametrize("share", [0.6, 0.82, 0.95])
def test_of_an_iterator_no_more_is_taken_than_is_looked_at(hatata, share):
    rng = np.random.default_rng(2)
    array = np.where(rng.random(4000) < share, GOOD, BAD)
    expected = hatata().verify(array, effective_looks="all")
    taken = itertools.count()
    one_by_one = ((next(taken), quality)[1] for quality in array.tolist())
    found = hatata().verify(one_by_one, effective_looks="all")
    assert next(taken) == expected.evidence_used == found.evidence_used
    assert found.decision == expected.decision
    assert found.understanding_probability == expected.understanding_probability


def test_no_more_than_the_most_looks_are_taken(hatata):
    endless = itertools.cycle([GOOD, GOOD, GOOD, GOOD, BAD])
    found = hatata().verify(endless, max_looks=60, cost_of_look=1e-5)
    assert found.evidence_used <= 60
    assert found.decision in ("accept", "reject")


# What counts as evidence


def test_forms_of_evidence(hatata):
    qualities = [0.9, 0.1, 0.85, 0.95, 0.3] * 6
    expected = hatata().verify(qualities)
    patches = [PatchScore((0, 0, 8, 8), 0, quality, 0.5, 0.0) for quality in qualities]
    for form in (
        tuple(qualities),
        np.array(qualities),
        np.array(qualities, dtype=np.float32),
        np.array(qualities)[::-1][::-1],
        iter(qualities),
        (quality for quality in qualities),
        patches,
        iter(patches),
    ):
        found = hatata().verify(form)
        assert found.decision == expected.decision
        assert found.evidence_used == expected.evidence_used
        assert found.understanding_probability == expected.understanding_probability


def test_bools_are_successes_and_failures(hatata):
    found = hatata().verify(np.array([True, False, True]), 1.0)
    assert [step.success for step in found.trajectory] == [True, False, True]


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_at_the_threshold_it_is_a_success(hatata, threshold):
    found = hatata().verify([threshold], threshold)
    assert found.trajectory[0].success
    below = np.nextafter(threshold, -1)
    if below >= 0:
        assert not hatata().verify([below], threshold).trajectory[0].success


def test_an_analysis_is_evidence_in_the_order_of_looking(hatata, autonomous):
    image = scene(96, 96)
    missing = np.zeros((96, 96), bool)
    missing[:16, :40] = True
    analysis = autonomous(8, algorithm="harmonic", seed=1).autonomous_analyze(
        image, mask=missing, target_quality=1.0
    )
    order = [patch for step in analysis.history for patch in step.patches]
    assert len(analysis.patch_qualities) == len(order)
    columns = 12
    error = analysis.reconstruction - image
    for patch, quality in zip(order, analysis.patch_qualities, strict=True):
        y, x = patch // columns * 8, patch % columns * 8
        known = ~missing[y : y + 8, x : x + 8]
        if not known.any():
            assert np.isnan(quality)
            continue
        mse = np.square(error[y : y + 8, x : x + 8][known].astype(np.float64)).mean()
        assert quality == pytest.approx(1 / (1 + 10 * mse), abs=1e-6)
    assert np.isnan(analysis.patch_qualities).any()
    scored = analysis.patch_qualities[~np.isnan(analysis.patch_qualities)]
    found, expected = hatata().verify(analysis, 0.9), hatata().verify(scored, 0.9)
    assert found.evidence_used == expected.evidence_used
    assert found.understanding_probability == expected.understanding_probability


def test_a_cross_reconstruction_is_evidence_in_random_order(hatata, regional):
    cross = regional("harmonic").cross_reconstruct(scene(96, 96), patch_size=8)
    median = float(np.median(cross.patch_quality))
    options = {"required_share": 0.4, "cost_of_look": 0.0, "max_looks": 16000}
    found = hatata().verify(cross, median, **options)
    qualities = [step.quality for step in found.trajectory]
    everything = cross.patch_quality.ravel().astype(float).tolist()
    assert not set(qualities) - set(everything)
    assert qualities != everything[: len(qualities)]
    assert found.effective_looks == found.evidence_used
    again = hatata().verify(cross, median, **options)
    assert [step.quality for step in again.trajectory] == qualities


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "got NoneType"),
        ("0.9", "got str"),
        (0.9, "got float"),
        ({"a": 1}, "got dict"),
        ([], "nothing at all"),
        (np.empty(0), "nothing at all"),
        (lambda: iter(()), "nothing at all"),
        ([0.5, float("nan")], "look 2 is nan"),
        ([0.5, 1.5], r"look 2 is 1\.5"),
        ([-0.1], r"look 1 is -0\.1"),
        (np.array([0.5, np.inf]), "look 2 is inf"),
        (np.zeros((3, 3)), r"shape \(3, 3\)"),
        (np.array(0.9), r"shape \(\)"),
        ([0.5, "x"], "evidence"),
        ([0.5, None], "evidence"),
        ([[0.5], [0.5, 0.6]], "evidence"),
        (np.array([0.5 + 1j]), "dtype complex"),
        (lambda: iter([0.5, float("nan")]), "look 2 is nan"),
        (lambda: iter([0.5, "0.9"]), "look 2 is '0.9'"),
        (lambda: iter([0.5, object()]), "look 2 is <object"),
    ],
)
def test_what_is_no_evidence(hatata, given, said):
    with pytest.raises(InvalidOptionError, match=rf"^evidence: .*{said}|^{said}"):
        hatata().verify(given() if callable(given) else given)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"threshold": 1.5}, "threshold"),
        ({"threshold": "high"}, "threshold"),
        ({"credible_level": 0}, "credible_level"),
        ({"credible_level": 1}, "credible_level"),
        ({"effective_looks": "some"}, "effective_looks"),
        ({"progress": "yes"}, "progress"),
    ],
)
def test_bad_options(hatata, options, named):
    with pytest.raises(InvalidOptionError, match=f"^{named}"):
        hatata().verify([0.5], **options)


def test_what_an_iterator_raises_is_not_caught(hatata):
    def failing():
        yield 0.9
        raise RuntimeError("the camera is gone")

    with pytest.raises(RuntimeError, match="the camera is gone"):
        hatata().verify(failing())


def test_progress(hatata):
    seen = []
    hatata().verify([GOOD, BAD] * 10, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] <= seen[-1][1] == 20
