"""Invariant 4: two backends, one truth, within the table of tiers (more in tests/parity)."""

import dataclasses

import numpy as np
import pytest
from scenes import (
    BUILT_IN,
    CONCRETE,
    holes,
    noise_by_hand,
    noisy_scene,
    photograph,
    scene,
    spoilt_cloth,
)

import helicopter
from helicopter._shared.result import Result
from helicopter.core import AutonomousReconstructionEngine, RegionalReconstructionEngine
from helicopter.testing import Tier, assert_parity, tiers_of
from helicopter.testing.tiers import PREDICTION, UNCERTAINTY

#: Of learning from episodes: computed above the backends, once.
OF_NO_BACKEND = {"ReliabilityCurve", "TransitionIntervals", "ValueIntervals"}
KINDS = [
    value
    for name, value in vars(helicopter.core).items()
    if isinstance(value, type) and issubclass(value, Result) and name not in OF_NO_BACKEND
]
DISCRETE = {
    "hidden_mask",
    "patches",
    "strategy",
    "stop_reason",
    "completion",
    "iterations",
    "iteration",
    "converged",
    "understanding_level",
    "patch_size",
    "patch_fold",
    "folds",
    "fold",
    "box",
    "data_range",
    "hidden_fraction",
    "difficulty",
    "algorithm",
    "level",
    "kind",
    "kinds",
    "noise_colour",
    "scale",
    "label",
    "bounding_box",
    "area",
    "peak",
    "labels",
    "detected",
    "candidates",
    "action",
    "dtype",
    "black",
    "decision",
    "state",
    "evidence_used",
    "effective_looks",
    "reject_at",
    "accept_from",
    "favour_from",
    "policy",
    "criterion",
    "epsilon",
}


def on_both(function):
    return [function(use_rust_acceleration=rust) for rust in (False, True)]


@pytest.mark.usefixtures("both_backends")
def test_the_default_analysis_of_a_photograph():
    image = photograph(256, 384, 0, 0)
    python, rust = on_both(lambda **o: helicopter.analyze(image, **o))
    assert (python.autonomous.backend, rust.autonomous.backend) == ("python", "rust")
    assert len(python.autonomous.history) > 3
    assert_parity(python, rust)


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("algorithm", BUILT_IN)
def test_every_strategy_on_a_photograph(algorithm):
    image = photograph(64, 80)
    for strategy in CONCRETE:
        for open_book in (False, True):
            pair = on_both(
                lambda strategy=strategy, open_book=open_book, **o: AutonomousReconstructionEngine(
                    8, algorithm=algorithm, strategy=strategy, **o
                ).autonomous_analyze(image, open_book=open_book, target_quality=1.0)
            )
            assert_parity(*pair)


@pytest.mark.usefixtures("both_backends")
def test_uncertainty_has_the_same_bits():
    image = photograph(200, 200, 0, 0)
    for mask in (holes(200, 200), np.random.default_rng(0).random((200, 200)) < 0.9):
        python, rust = on_both(
            lambda mask=mask, **o: RegionalReconstructionEngine("harmonic", **o).reconstruct(
                image, mask
            )
        )
        assert python.uncertainty_map.tobytes() == rust.uncertainty_map.tobytes()
        assert python.confidence_map.tobytes() == rust.confidence_map.tobytes()
        assert_parity(python, rust)


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("channels", [None, 3])
def test_the_noise_of_a_scene(channels):
    image = noisy_scene(96, 112, channels, sigma=8.0)
    python, rust = on_both(lambda **o: helicopter.estimate_noise(image, segments=2, **o))
    assert (python.backend, rust.backend) == ("python", "rust")
    assert len(python.segments) == 4
    assert_parity(python, rust)
    assert_parity(*on_both(lambda **o: helicopter.estimate_sigma(image, **o)))


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("algorithm", ["network", "harmonic"])
def test_the_anomalies_of_a_cloth(algorithm):
    image, _ = spoilt_cloth(96, 128, 3)
    python, rust = on_both(lambda **o: helicopter.find_anomalies(image, algorithm=algorithm, **o))
    assert (python.backend, rust.backend) == ("python", "rust")
    assert len(python.regions) >= 1
    assert_parity(python, rust)


# The table and the assertion themselves


@pytest.mark.parametrize("algorithm", [*PREDICTION, "one of the user's"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_table_names_every_output(kind, algorithm):
    tiers = tiers_of(kind.__name__, algorithm)
    assert set(tiers) == set(kind._names())
    # backends may come to the solution of a decision model in ways of their own
    own_way = {"iterations", "method"} if kind is helicopter.core.MDPSolution else set()
    for name in DISCRETE & set(tiers) - own_way:
        assert tiers[name].kind == "exact", name
    ignored = {name for name, tier in tiers.items() if tier.kind == "ignored"}
    assert ignored <= {"backend", "device", "seconds"} | own_way
    types = {field.name: field.type for field in dataclasses.fields(kind)}
    for name, tier in tiers.items():
        if tier.kind == "allclose":
            assert types[name] not in ("int", "str", "bool")
            assert 0 < max(tier.absolute, tier.relative) <= 0.01
        if tier.kind == "ulp":
            assert tier.ulps > 0


def test_the_tolerances_that_were_promised():
    assert PREDICTION == {
        "network": 5e-5,
        "harmonic": 1e-6,
        "biharmonic": 1e-5,
        "exemplar": 1e-6,
        "registered": 0.0,
    }
    assert UNCERTAINTY == {"network": 2e-3}
    for algorithm in set(PREDICTION) - set(UNCERTAINTY):
        tiers = tiers_of("RegionalReconstruction", algorithm)
        assert tiers["uncertainty_map"] == tiers["confidence_map"] == Tier("exact")


@pytest.fixture(scope="module")
def analysis():
    image = scene()
    engine = AutonomousReconstructionEngine(8, algorithm="harmonic", use_rust_acceleration=False)
    return engine.autonomous_analyze(image)


def altered(analysis, name):
    value = analysis[name]
    if isinstance(value, np.ndarray):
        value = value.copy()
        at = np.unravel_index(int(np.argmax(analysis.uncertainty_map)), analysis.hidden_mask.shape)
        at = at if value.ndim > 1 else (0,)
        value[at] = ~value[at] if value.dtype == bool else value[at] * 0.99 + 1e-3
    elif isinstance(value, bool):
        value = not value
    elif isinstance(value, int):
        value += 1
    elif isinstance(value, float):
        value += 1e-2
    elif isinstance(value, str):
        value += "x"
    elif value is None:
        value = "x"
    else:
        value = value[:-1]
    return dataclasses.replace(analysis, **{name: value})


@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(helicopter.core.AutonomousAnalysis)]
)
def test_a_difference_in_any_output_is_found_and_named(analysis, name):
    assert_parity(analysis, analysis)
    if name in ("backend", "device", "seconds"):
        assert_parity(analysis, altered(analysis, name))
        return
    with pytest.raises(AssertionError, match=rf"\n  {name}[: ]"):
        assert_parity(analysis, altered(analysis, name))


def test_differences_within_a_history_are_found_and_named(analysis):
    step = analysis.history[2]
    for name, value, words in (
        ("patches", step.patches[::-1], r"history\[2\]\.patches: \(\d+, \d+\) against"),
        ("quality", step.quality + 1e-3, r"history\[2\]\.quality: 0\.\d+ against .*allclose"),
        ("quality", float("nan"), r"history\[2\]\.quality: 0\.\d+ against nan"),
    ):
        history = list(analysis.history)
        history[2] = dataclasses.replace(step, **{name: value})
        other = dataclasses.replace(analysis, history=tuple(history))
        with pytest.raises(AssertionError, match=words):
            assert_parity(analysis, other)


def test_differences_within_what_is_said_of_noise_are_found_and_named():
    noise = noise_by_hand()
    assert_parity(noise, noise)
    chances = {**noise.kind_probabilities, "poisson": 0.5}
    waves = {**noise.parameters, "periodic": {"amplitude": 0.0, "components": [{"period": 3.0}]}}
    other_waves = {**waves, "periodic": {"amplitude": 0.0, "components": [{"period": 3.1}]}}
    one = dataclasses.replace(noise, parameters=waves)
    for first, second, words in (
        (noise, {"kind_probabilities": chances}, r"\n  kind_probabilities\['poisson'\]: "),
        (one, {"parameters": other_waves}, r"parameters\['periodic'\]\['components'\]\[0\]"),
        (noise, {"sigma_interval": (1.0, 99.0)}, r"\n  sigma_interval\[1\]: "),
        (noise, {"kinds": ("clean",)}, r"\n  kinds: "),
    ):
        with pytest.raises(AssertionError, match=words):
            assert_parity(first, dataclasses.replace(first, **second))


def test_visible_pixels_have_no_tolerance(analysis):
    filled = analysis.reconstruction.copy()
    y, x = np.argwhere(~analysis.hidden_mask)[5]
    filled[y, x, 1] = np.nextafter(filled[y, x, 1], 2)
    other = dataclasses.replace(analysis, reconstruction=filled)
    with pytest.raises(AssertionError, match=rf"where visible: 1 of .* at \({y}, {x}, 1\) \(exact"):
        assert_parity(analysis, other)


@pytest.mark.parametrize(
    ("apart", "algorithm", "fine"),
    [
        (9e-7, "harmonic", True),
        (2e-6, "harmonic", False),
        (9e-6, "biharmonic", True),
        (2e-5, "biharmonic", False),
        (1e-7, "one of the user's", False),
    ],
)
def test_predictions_have_the_tolerance_of_their_algorithm(analysis, apart, algorithm, fine):
    one = dataclasses.replace(analysis, algorithm=algorithm)
    filled = analysis.reconstruction + np.float32(apart) * analysis.hidden_mask[:, :, None]
    other = dataclasses.replace(one, reconstruction=filled)
    if fine:
        assert_parity(one, other)
        return
    with pytest.raises(AssertionError, match=r"\n  reconstruction: \d+ of \d+ values differ"):
        assert_parity(one, other)


def test_integers_may_differ_by_one_level(analysis):
    image = np.rint(analysis.reconstruction * 255).astype(np.uint8)
    one = dataclasses.replace(analysis, reconstruction=image)
    hidden = analysis.hidden_mask[:, :, None]
    for levels, fine in ((1, True), (2, False)):
        moved = np.where(hidden, np.where(image > 99, image - levels, image + levels), image)
        other = dataclasses.replace(one, reconstruction=moved.astype(np.uint8))
        if fine:
            assert_parity(one, other)
        else:
            with pytest.raises(AssertionError, match=r"reconstruction: .* values differ"):
                assert_parity(one, other)


def test_the_range_widens_the_tolerance_of_intensities(analysis):
    filled = analysis.reconstruction + np.float32(5e-5) * analysis.hidden_mask[:, :, None]
    other = dataclasses.replace(analysis, reconstruction=filled)
    assert_parity(analysis, other, data_range=(-50, 50))
    with pytest.raises(AssertionError):
        assert_parity(analysis, other, data_range=(0, 10))


def test_results_of_other_kinds_or_shapes_differ(analysis):
    with pytest.raises(AssertionError, match="AutonomousAnalysis against IterationRecord"):
        assert_parity(analysis, analysis.history[0])
    other = dataclasses.replace(analysis, error_map=analysis.error_map[:-1])
    with pytest.raises(AssertionError, match=r"error_map: float32 \(48, 56\) against float32 \(47"):
        assert_parity(analysis, other)
    other = dataclasses.replace(analysis, error_map=analysis.error_map.astype(float))
    with pytest.raises(AssertionError, match=r"error_map: float32 .* against float64"):
        assert_parity(analysis, other)
