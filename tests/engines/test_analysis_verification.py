"""`helicopter.analyze` verifies with the patches that its autonomous run has scored."""

import dataclasses

import numpy as np
import pytest
from scenes import scene

import helicopter
from helicopter.core import AutonomousReconstructionEngine, HatataMDPEngine, StoppingPolicy
from helicopter.core._analyzer import Analyzer, Machine
from helicopter.errors import InvalidOptionError

IMAGE = scene(dtype="uint8")


@pytest.fixture
def analyze(backend):
    def run(**options):
        quick = {"patch_size": 8, "algorithm": "harmonic", **options}
        return helicopter.analyze(IMAGE, use_rust_acceleration=backend == "rust", **quick)

    return run


def plain(verification):
    """All but the time."""
    return {k: v for k, v in verification.to_dict(arrays=True).items() if k != "seconds"}


def test_the_scored_patches_are_the_evidence(analyze, backend):
    found = analyze(target_quality=1)
    verifier = HatataMDPEngine(use_rust_acceleration=backend == "rust")
    assert plain(found.verification) == plain(verifier.verify(found.autonomous))
    assert found.verification.backend == backend
    seen = [step.quality for step in found.verification.trajectory]
    np.testing.assert_array_equal(seen, found.autonomous.patch_qualities[: len(seen)])


def test_options_of_the_verifier_reach_it(analyze):
    found = analyze(
        threshold=0.9, required_share=0.6, prior=(2, 1), credible_level=0.8, max_looks=12,
        cost_of_look=0.002, cost_of_false_accept=3, cost_of_false_reject=2, effective_looks="all",
    ).verification  # fmt: skip
    assert found.threshold == 0.9
    assert found.required_share == 0.6
    assert found.prior == (2, 1)
    assert found.credible_level == 0.8
    assert found.evidence_used <= 12
    assert tuple(found.costs) == (0.002, 3, 2)
    assert found.effective_looks == found.evidence_used


def test_wrong_options_are_refused_before_any_work(analyze, monkeypatch):
    def computed(*_args, **_options):
        raise AssertionError("computed for nothing")

    monkeypatch.setattr(AutonomousReconstructionEngine, "autonomous_analyze", computed)
    for name, value in (
        ("threshold", 2), ("required_share", 0), ("credible_level", 1), ("cost_of_look", -1),
        ("prior", (0, 1)), ("effective_looks", "some"), ("max_looks", 0), ("stop", "soon"),
    ):  # fmt: skip
        with pytest.raises(InvalidOptionError, match=f"^{name}: got"):
            analyze(**{name: value})


def test_it_can_stop_by_the_evidence(analyze):
    found = analyze(stop="hatata", cost_of_look=0.01, threshold=0.7)
    assert found.autonomous.stop_reason == "evidence_sufficient"
    assert found.verification is found.autonomous.verification
    assert found.verification.threshold == 0.7
    assert found.verification.costs.look == 0.01
    predicted = sum(len(step.patches) for step in found.autonomous.history)
    assert predicted == found.verification.evidence_used
    policy = StoppingPolicy(0.6, cost_of_look=0.02, use_rust_acceleration=False)
    found = analyze(stop=policy)
    assert found.verification.required_share == 0.6
    assert found.verification.costs.look == 0.02


def test_without_evidence_there_is_no_verdict(analyze):
    autonomous = analyze().autonomous
    nothing = np.full_like(autonomous.patch_qualities, np.nan)
    analyzer = Analyzer(Machine(use_rust_acceleration=False))
    for qualities in (nothing, nothing[:0]):
        bare = dataclasses.replace(autonomous, patch_qualities=qualities)
        assert analyzer._verify(bare) is None
