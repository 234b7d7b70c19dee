"""Results: frozen, also mappings, JSON, figures, HTML."""

import copy
import dataclasses
import json
import pickle
from collections.abc import Mapping

import numpy as np
import pytest
from matplotlib.figure import Figure
from scenes import holes, scene, spoilt_cloth

import helicopter
from helicopter._shared.result import Result
from helicopter.core import results
from helicopter.core.results._autonomous import understanding_level

IMAGE, MASK = scene(dtype="uint8"), holes()
KINDS = (
    "Analysis",
    "AnomalyAnalysis",
    "AnomalyRegion",
    "AutonomousAnalysis",
    "CrossReconstruction",
    "IterationRecord",
    "NoiseAnalysis",
    "NoiseLevel",
    "NoiseLevelFunction",
    "NoiseScale",
    "PatchScore",
    "RegionalReconstruction",
    "SegmentAwareReconstruction",
    "SegmentNoise",
    "SegmentReconstruction",
    "StoppingBoundaries",
    "UnderstandingScore",
    "UnderstandingTest",
    "Verification",
    "VerificationStep",
)


@pytest.fixture(scope="module")
def real(autonomous, regional, segmental, detector, backend):
    """A result of every kind, as the engines make them."""
    analysis = helicopter.analyze(
        IMAGE, patch_size=8, mask=MASK, use_rust_acceleration=backend == "rust"
    )
    understanding = regional().test_understanding(IMAGE, ["checkerboard", "center_out"], [0.3])
    cross = regional().cross_reconstruct(IMAGE, patch_size=8)
    noise = detector().analyze(IMAGE, mask=MASK, segments=2)
    segments = segmental().segment_aware_reconstruction(IMAGE, segments=5, mask=MASK)
    cloth, _ = spoilt_cloth(96, 96)
    anomalies = helicopter.find_anomalies(cloth, use_rust_acceleration=backend == "rust")
    found = (
        analysis,
        anomalies,
        anomalies.regions[0],
        analysis.autonomous,
        cross,
        analysis.autonomous.history[0],
        noise,
        detector().level(IMAGE, mask=MASK),
        noise.noise_level_function,
        noise.scales[1],
        cross.patches()[0],
        regional().reconstruct(IMAGE, MASK),
        segments,
        noise.segments[0],
        segments.segments[0],
        analysis.verification.boundaries,
        understanding.scores[0],
        understanding,
        analysis.verification,
        analysis.verification.trajectory[0],
    )
    return dict(zip(KINDS, found, strict=True))


def strict_json(value):
    return json.loads(json.dumps(value, allow_nan=False))


def test_every_kind_of_result_is_tested():
    public = {
        name
        for name in results.__all__
        if isinstance(getattr(results, name), type) and issubclass(getattr(results, name), Result)
    }
    assert public == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
class TestEvery:
    def test_is_frozen(self, real, kind):
        result = real[kind]
        name = next(iter(result))
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(result, name, 1)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(result, name)
        with pytest.raises(TypeError):
            result[name] = 1

    def test_is_a_mapping(self, real, kind):
        result = real[kind]
        names = [f.name for f in dataclasses.fields(result) if not f.name.startswith("_")]
        assert isinstance(result, Mapping)
        assert list(result) == list(result.keys()) == names
        assert len(result) == len(names)
        assert all(result[name] is getattr(result, name) for name in names)
        assert names[0] in result
        assert "to_dict" not in result
        assert result.get("to_dict", 7) == 7
        assert set(dict(**result)) == set(names)
        with pytest.raises(KeyError):
            result["to_dict"]

    def test_is_json(self, real, kind):
        result = real[kind]
        brief = strict_json(result.to_dict())
        assert list(brief) == list(result)
        full = strict_json(result.to_dict(arrays=True))
        for name, value in result.items():
            if isinstance(value, np.ndarray):
                assert brief[name] == {"shape": list(value.shape), "dtype": str(value.dtype)}
                again = np.array(full[name], dtype=value.dtype)
                np.testing.assert_array_equal(again, value)

    def test_is_compared_by_identity(self, real, kind):
        result = real[kind]
        other = copy.deepcopy(result)
        assert result == result
        assert result != other
        assert len({result, other}) == 2

    def test_survives_pickling(self, real, kind):
        result = real[kind]
        again = pickle.loads(pickle.dumps(result))
        assert type(again) is type(result)
        assert again.to_dict() == result.to_dict()

    def test_has_a_short_text(self, real, kind):
        text = repr(real[kind])
        assert text.startswith(f"{kind}(")
        assert "array(" not in text
        assert len(text) < 2000

    def test_has_a_figure(self, real, kind):
        assert isinstance(real[kind].plot(), Figure)

    def test_has_an_html_form(self, real, kind):
        text = real[kind]._repr_html_()
        assert isinstance(text, str)
        assert next(iter(real[kind].to_dict())) in text or kind == "Analysis"


def test_html_is_escaped(regional, kernel):
    name = "<script>alert(1)</script>&\"'"
    kernel(name, lambda context, mask: context)
    result = regional(name).reconstruct(IMAGE, MASK)
    assert result.algorithm == name
    text = result._repr_html_()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in text


def test_undefined_numbers_are_null_in_json(real):
    analysis = real["AutonomousAnalysis"]
    assert np.isnan(analysis.error_map).any()
    full = analysis.to_dict(arrays=True)["error_map"]
    assert sum(value is None for row in full for value in row) == np.isnan(analysis.error_map).sum()
    perfect = dataclasses.replace(analysis, psnr_db=np.inf, skill=np.nan)
    assert perfect.to_dict()["psnr_db"] is None
    assert perfect.to_dict()["skill"] is None


def test_numbers_are_pythons_own(real):
    def check(value):
        assert not isinstance(value, np.generic)
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, (dict, list, tuple)):
                check(item)
            assert not isinstance(item, np.generic)

    for result in real.values():
        check(tuple(result.values()))


@pytest.mark.parametrize(
    ("quality", "level"),
    [
        (1.0, "excellent"),
        (0.95, "excellent"),
        (np.nextafter(0.95, 0), "good"),
        (0.8, "good"),
        (np.nextafter(0.8, 0), "moderate"),
        (0.6, "moderate"),
        (np.nextafter(0.6, 0), "limited"),
        (0.0, "limited"),
    ],
)
def test_the_levels_of_understanding(quality, level):
    assert understanding_level(quality) == level


def test_engines_say_where_they_ran(autonomous, regional, detector, backend):
    for engine in (autonomous(), regional(), detector()):
        assert engine.backend == backend
        assert engine.device == "cpu"
    result = regional().reconstruct(IMAGE, MASK)
    assert (result.backend, result.device, result.algorithm) == (backend, "cpu", "network")
    assert result.seconds > 0
