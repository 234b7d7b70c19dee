"""`helicopter.analyze`: all engines on one image, and only those that are called for."""

import numpy as np
import pytest
from scenes import holes, scene, spoilt_cloth

import helicopter
from helicopter.core import (
    AutonomousReconstructionEngine,
    SegmentAwareReconstructionEngine,
    ZengezaNoiseDetector,
)
from helicopter.core._analyzer import Analyzer, EngineOptions, Machine, segments_called_for
from helicopter.errors import InvalidOptionError

IMAGE = scene(96, 112, dtype="uint8")


@pytest.fixture
def analyze(backend):
    def run(image=IMAGE, **options):
        quick = {"patch_size": 8, "algorithm": "harmonic", **options}
        return helicopter.analyze(image, use_rust_acceleration=backend == "rust", **quick)

    return run


def plain(result):
    """All but the time."""
    return repr({k: v for k, v in result.to_dict(arrays=True).items() if k != "seconds"})


def test_each_part_is_what_its_engine_finds(analyze, backend):
    rust = {"use_rust_acceleration": backend == "rust"}
    found = analyze(segments=9, seed=4)
    engine = AutonomousReconstructionEngine(8, algorithm="harmonic", seed=4, **rust)
    assert plain(found.autonomous) == plain(engine.autonomous_analyze(IMAGE))
    assert plain(found.noise) == plain(ZengezaNoiseDetector(**rust).analyze(IMAGE))
    assert found.segments.algorithm == found.anomalies.algorithm == "harmonic"
    engine = SegmentAwareReconstructionEngine(algorithm="harmonic", seed=4, **rust)
    assert plain(found.segments) == plain(engine.segment_aware_reconstruction(IMAGE, segments=9))
    for part in (found.autonomous, found.noise, found.segments, found.anomalies):
        assert part.backend == backend


def test_parts_are_looked_at_where_they_are_called_for(analyze):
    calm = np.full((96, 96), 100, np.uint8)
    calm[:, 48:] = 140
    assert analyze(calm).segments is None
    noisy = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    found = analyze(noisy)
    assert segments_called_for(found.autonomous, found.noise)
    assert len(found.segments.segments) == 96 * 96 // 400
    assert analyze(noisy, segments=None).segments is None
    assert len(analyze(calm, segments=4).segments.segments) == 4
    assert len(analyze(calm, segments=calm // 120).segments.segments) == 2


def test_anomalies_are_looked_for(analyze):
    cloth, spot = spoilt_cloth(128, 128)
    found = analyze(cloth, level=0.2)
    assert found.anomalies.level == 0.2
    assert found.anomalies.detected[spot].any()
    assert analyze(cloth, anomalies=False).anomalies is None


def test_something_else_can_predict_the_parts(analyze):
    found = analyze(segments=3, parts_algorithm="biharmonic")
    assert found.autonomous.algorithm == "harmonic"
    assert found.segments.algorithm == found.anomalies.algorithm == "biharmonic"


def test_what_is_missing_is_missing_for_all(analyze):
    mask = holes(96, 112)
    other = IMAGE.copy()
    other[mask] = 255 - other[mask]
    found, again = (analyze(image, mask=mask, segments=6) for image in (IMAGE, other))
    for name in ("noise", "anomalies"):
        assert plain(found[name]) == plain(again[name])
    for name in ("autonomous", "segments"):
        for field in ("reconstruction_quality", "skill", "average_confidence"):
            assert found[name][field] == again[name][field]
    np.testing.assert_array_equal(found.segments.labels, again.segments.labels)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segments", "some"), ("segments", 0), ("segments", 1.5),
        ("segments", np.zeros((3, 3), int)), ("anomalies", "yes"),
        ("anomalies", None), ("level", 0), ("level", 1), ("level", "0.1"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused_before_any_work(analyze, monkeypatch, name, value):
    def computed(*_args, **_options):
        raise AssertionError("computed for nothing")

    monkeypatch.setattr(AutonomousReconstructionEngine, "autonomous_analyze", computed)
    with pytest.raises(InvalidOptionError, match=f"^{name}"):
        analyze(**{name: value})


def test_engines_serve_many_images(backend):
    analyzer = Analyzer(
        Machine(use_rust_acceleration=backend == "rust"),
        EngineOptions(patch_size=8, algorithm="harmonic"),
    )
    first = analyzer.analyze(IMAGE)
    analyzer.analyze(IMAGE[::-1])
    assert plain(analyzer.analyze(IMAGE).anomalies) == plain(first.anomalies)


def test_progress_is_reported_by_each_engine(analyze):
    steps = []
    analyze(segments=5, progress=lambda done, total: steps.append((done, total)))
    # patches, pixels of segments, and folds
    assert len({total for _, total in steps}) == 3
    assert steps[-1][0] == steps[-1][1]
