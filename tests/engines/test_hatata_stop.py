"""The autonomous engine stops when the evidence is enough."""

import numpy as np
import pytest
from scenes import photograph, scene

from helicopter.core import STRATEGIES, StoppingPolicy
from helicopter.errors import InvalidOptionError

IMAGE = scene(128, 160)


def order(result):
    return [patch for step in result.history for patch in step.patches]


def test_it_stops_early_and_says_why(autonomous, hatata):
    engine = autonomous(8, algorithm="harmonic", stop="hatata", threshold=0.5)
    result = engine.autonomous_analyze(IMAGE)
    assert result.stop_reason == "evidence_sufficient"
    assert result.completion < 0.2
    verdict = result.verification
    assert verdict.decision == "accept"
    assert verdict.evidence_used == len(result.patch_qualities) == len(order(result))
    expected = hatata().verify(result.patch_qualities, 0.5, effective_looks="all")
    assert expected.understanding_probability == verdict.understanding_probability
    assert expected.evidence_used == verdict.evidence_used
    assert expected.trajectory[-1].low == verdict.trajectory[-1].low


def test_it_rejects_what_is_not_understood(autonomous):
    rng = np.random.default_rng(0)
    noise = rng.random((96, 96)).astype(np.float32)
    result = autonomous(8, algorithm="harmonic", stop="hatata").autonomous_analyze(noise)
    assert result.verification.decision == "reject"
    assert result.stop_reason == "evidence_sufficient"


def test_without_it_nothing_changes(autonomous):
    result = autonomous(8, algorithm="harmonic").autonomous_analyze(IMAGE)
    assert result.verification is None
    assert result.stop_reason != "evidence_sufficient"
    assert len(result.patch_qualities) == len(order(result))


@pytest.mark.parametrize("open_book", [False, True])
@pytest.mark.parametrize("context_size", [None, 24])
def test_looks_are_the_patches_that_would_have_been_chosen_anyway(
    autonomous, open_book, context_size
):
    # the same run, but for where it ends: up to there the same patches and the same qualities
    options = {"algorithm": "harmonic", "strategy": "random", "seed": 5}
    stopped = autonomous(8, context_size, **options, stop="hatata", threshold=0.99)
    stopped = stopped.autonomous_analyze(IMAGE, open_book=open_book)
    whole = autonomous(8, context_size, **options)
    whole = whole.autonomous_analyze(IMAGE, open_book=open_book, target_quality=1.0)
    count = len(order(stopped))
    assert 0 < count < len(order(whole))
    assert order(whole)[:count] == order(stopped)
    np.testing.assert_array_equal(whole.patch_qualities[:count], stopped.patch_qualities)


def test_adaptive_means_random_so_that_looks_are_a_fair_sample(autonomous):
    options = {"algorithm": "harmonic", "stop": "hatata", "seed": 3}
    result = autonomous(8, **options).autonomous_analyze(IMAGE)
    assert {step.strategy for step in result.history} == {"random"}
    assert result.strategy == "adaptive"
    # over many seeds every part of the image is seen as often as any other
    policy = StoppingPolicy(cost_of_look=0.0, max_looks=20)
    rows = []
    for seed in range(40):
        engine = autonomous(8, algorithm="harmonic", stop=policy, seed=seed)
        rows += [patch // 20 for patch in order(engine.autonomous_analyze(IMAGE))]
    rows = np.array(rows)
    assert abs(rows.mean() - 7.5) < 4 * np.sqrt((16**2 - 1) / 12 / rows.size)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_can_be_stopped(autonomous, strategy):
    engine = autonomous(8, algorithm="harmonic", stop="hatata", strategy=strategy)
    result = engine.autonomous_analyze(IMAGE)
    assert result.verification.evidence_used == len(result.patch_qualities)
    expected = "random" if strategy == "adaptive" else strategy
    assert {step.strategy for step in result.history} == {expected}


def test_a_policy_with_costs_of_your_own(autonomous):
    dear, cheap = (
        autonomous(
            8, algorithm="harmonic", stop=StoppingPolicy(0.9, cost_of_look=cost), threshold=0.985
        ).autonomous_analyze(IMAGE)
        for cost in (0.02, 0.0005)
    )
    assert len(dear.patch_qualities) < len(cheap.patch_qualities)
    assert dear.verification.required_share == cheap.verification.required_share == 0.9
    assert dear.verification.costs.look == 0.02
    assert dear.verification.threshold == 0.985


def test_a_look_that_costs_too_much_is_not_taken(autonomous):
    policy = StoppingPolicy(cost_of_look=0.9)
    engine = autonomous(8, algorithm="harmonic", stop=policy)
    result = engine.autonomous_analyze(IMAGE)
    assert (result.iterations, result.completion) == (0, 0.0)
    assert result.stop_reason == "evidence_sufficient"
    assert result.verification.evidence_used == 0
    assert result.patch_qualities.size == 0
    assert not result.hidden_mask.all()
    assert np.isfinite(result.reconstruction).all()


def test_evidence_that_is_never_enough(autonomous):
    policy = StoppingPolicy(cost_of_look=1e-6)
    engine = autonomous(16, algorithm="harmonic", stop=policy, threshold=0.985)
    result = engine.autonomous_analyze(IMAGE)
    verdict = result.verification
    if result.stop_reason == "all_patches_done":
        assert verdict.decision == "continue"
        assert result.completion == 1
    else:
        assert verdict.decision in ("accept", "reject")
    limited = engine.autonomous_analyze(IMAGE, max_iterations=1)
    assert limited.iterations == 1
    assert limited.stop_reason == "max_iterations"
    assert limited.verification.decision == "continue"


def test_missing_pixels_are_no_evidence(autonomous):
    missing = np.zeros((128, 160), bool)
    missing[:, 80:] = True
    policy = StoppingPolicy(cost_of_look=0.0, max_looks=1000)
    engine = autonomous(8, algorithm="harmonic", stop=policy, threshold=0.985)
    result = engine.autonomous_analyze(IMAGE, mask=missing)
    scored = np.count_nonzero(~np.isnan(result.patch_qualities))
    assert scored < len(order(result))
    assert result.verification.evidence_used == scored


def test_a_target_does_not_stop_it(autonomous):
    policy = StoppingPolicy(cost_of_look=0.0, max_looks=150)
    engine = autonomous(8, algorithm="harmonic", stop=policy, threshold=0.985)
    one, two = (engine.autonomous_analyze(IMAGE, target_quality=target) for target in (0.01, 1.0))
    assert order(one) == order(two)
    assert one.converged
    assert not two.converged


@pytest.mark.parametrize(
    ("options", "named"),
    [({"stop": "soon"}, "stop"), ({"stop": None}, "stop"), ({"threshold": 2}, "threshold")],
)
def test_bad_options(autonomous, options, named):
    with pytest.raises(InvalidOptionError, match=f"^{named}: got"):
        autonomous(8, **options)


def test_the_kernel_of_a_user_can_be_stopped(autonomous, kernel):
    asked = []

    def grey(context, mask):
        asked.append(mask.sum())
        return np.full_like(context, 0.5)

    name = kernel("grey", grey)
    result = autonomous(8, algorithm=name, stop="hatata").autonomous_analyze(photograph())
    assert result.stop_reason == "evidence_sufficient"
    assert len(asked) < 24
