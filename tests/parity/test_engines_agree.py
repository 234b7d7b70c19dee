"""Rust against Python, over the options of both engines, within the table of tiers."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pairs import all_pairs
from scenes import BUILT_IN, CONCRETE, holes, mean_colour, photograph, scene, unsure

from helicopter.core import (
    MASKING_STRATEGIES,
    STRATEGIES,
    AutonomousReconstructionEngine,
    RegionalReconstructionEngine,
)
from helicopter.testing import assert_parity
from helicopter.testing.strategies import DTYPES, images_with_masks, shapes

pytestmark = pytest.mark.usefixtures("both_backends")


def neighbours(context, mask):
    """A kernel whose prediction and uncertainty change with the context."""
    grey = context.mean(axis=2)
    sigma = 0.01 + 0.2 * np.abs(grey - np.roll(grey, 5, axis=1))
    return 0.5 * (np.roll(context, 3, axis=0) + np.roll(context, -3, axis=1)), sigma


@pytest.fixture
def kernels(kernel):
    for function in (mean_colour, unsure, neighbours):
        kernel(function.__name__, function)


def autonomous_pair(image, engine, **call):
    results = [
        AutonomousReconstructionEngine(use_rust_acceleration=rust, **engine).autonomous_analyze(
            image, **call
        )
        for rust in (False, True)
    ]
    assert [result.backend for result in results] == ["python", "rust"]
    return results


def regional_pair(algorithm, image, mask, **call):
    return [
        RegionalReconstructionEngine(algorithm, use_rust_acceleration=rust).reconstruct(
            image, mask, **call
        )
        for rust in (False, True)
    ]


@all_pairs(
    strategy=STRATEGIES,
    open_book=(False, True),
    context_size=(None, 8, 25),
    algorithm=(*BUILT_IN, "mean_colour", "unsure", "neighbours"),
)
@pytest.mark.usefixtures("kernels")
def test_every_combination_of_options(strategy, open_book, context_size, algorithm):
    engine = {
        "patch_size": 8,
        "context_size": context_size,
        "strategy": strategy,
        "algorithm": algorithm,
        "seed": 11,
    }
    # a colour image, some of it missing; and one in grey whose sides the patches do not divide
    for image, mask in ((scene(48, 40), holes(48, 40)), (scene(37, 43, None), None)):
        call = {"open_book": open_book, "mask": mask, "target_quality": 1.0, "max_iterations": 12}
        python, rust = autonomous_pair(image, engine, **call)
        assert_parity(python, rust)
        assert [step.patches for step in python.history] == [step.patches for step in rust.history]


@given(
    images_with_masks(shape=shapes(min_side=1, max_side=40)),
    st.fixed_dictionaries(
        {
            "patch_size": st.integers(1, 12),
            "context_size": st.none() | st.integers(12, 60),
            "strategy": st.sampled_from(STRATEGIES),
            "algorithm": st.sampled_from(BUILT_IN),
            "seed": st.integers(0, 2**64 - 1),
        }
    ),
    st.fixed_dictionaries(
        {
            "open_book": st.booleans(),
            "target_quality": st.floats(0, 1),
            "initial_known": st.floats(0.01, 0.99),
            "max_iterations": st.integers(1, 6),
        }
    ),
    st.booleans(),
)
@settings(max_examples=40)
def test_any_analysis(both, engine, call, masked):
    image, mask = both
    seen = ~mask if masked else np.ones_like(mask)
    rows, cols = np.nonzero(seen)
    # one patch cannot be predicted from another where there is only one
    assume(
        len(set(zip(rows // engine["patch_size"], cols // engine["patch_size"], strict=True))) > 1
    )
    assert_parity(*autonomous_pair(image, engine, mask=mask if masked else None, **call))


@given(images_with_masks(shape=shapes(max_side=48)), st.sampled_from(BUILT_IN))
@settings(max_examples=60)
def test_any_reconstruction(both, algorithm):
    assert_parity(*regional_pair(algorithm, *both))


SIZES = [
    (1, 2), (2, 1), (1, 97), (89, 1), (2, 2), (2, 61), (3, 3), (7, 11), (31, 37), (67, 71),
    (64, 64), (1300, 24),
]  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("algorithm", BUILT_IN)
def test_every_size(size, algorithm):
    image = scene(*size)
    for seed, share in enumerate((0.1, 0.5, 0.95)):
        mask = np.random.default_rng(seed).random(size) < share
        if mask.all():
            mask.flat[-1] = False
        assert_parity(*regional_pair(algorithm, image, mask))
    patch = max(1, max(size) // 9)
    for strategy in CONCRETE if max(size) < 130 else ("content_aware", "uncertainty_guided"):
        engine = {"patch_size": patch, "algorithm": algorithm, "strategy": strategy}
        for open_book in (False, True):
            assert_parity(*autonomous_pair(image, engine, open_book=open_book, max_iterations=3))


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype, channels):
    image = scene(channels=channels, dtype=dtype)
    for algorithm in BUILT_IN:
        assert_parity(*regional_pair(algorithm, image, holes()))
    assert_parity(*autonomous_pair(image, {"patch_size": 7}, mask=holes()))


def test_a_chosen_range():
    image = scene() * 200 - 100
    assert_parity(
        *regional_pair("harmonic", image, holes(), data_range=(-100, 100)), data_range=(-100, 100)
    )
    pair = autonomous_pair(image, {"patch_size": 8}, data_range=(-100, 100))
    assert_parity(*pair, data_range=(-100, 100))


@pytest.mark.parametrize("name", ["mean_colour", "unsure", "neighbours"])
@pytest.mark.usefixtures("kernels")
def test_kernels_of_the_user(name):
    for dtype in ("uint8", "float32"):
        assert_parity(*regional_pair(name, scene(dtype=dtype), holes()))


@pytest.mark.parametrize("strategy", MASKING_STRATEGIES)
@pytest.mark.parametrize("algorithm", [*BUILT_IN, "neighbours"])
@pytest.mark.usefixtures("kernels")
def test_the_test_of_understanding(strategy, algorithm):
    image = photograph(60, 76)
    results = [
        RegionalReconstructionEngine(
            algorithm, use_rust_acceleration=rust, seed=3
        ).test_understanding(image, [strategy], (0.2, 0.7, 0.9), patch_size=11)
        for rust in (False, True)
    ]
    assert_parity(*results)


@pytest.mark.parametrize("value", [0.0, 0.3, 1 / 3, 0.7, 1.0])
def test_flat_images(value):
    image = np.full((45, 39, 3), value)
    for algorithm in BUILT_IN:
        for context_size in (None, 24):
            engine = {"patch_size": 8, "algorithm": algorithm, "context_size": context_size}
            assert_parity(*autonomous_pair(image, engine))
        assert_parity(*regional_pair(algorithm, image, holes(45, 39)))


@pytest.mark.parametrize("strategy", CONCRETE)
def test_steps_without_anything_to_score_are_no_plateau(strategy):
    image = scene(80, 80)
    mask = np.ones((80, 80), bool)
    mask[:8, :8] = mask[40:48, 40:48] = False
    engine = {"patch_size": 8, "strategy": strategy}
    python, rust = autonomous_pair(image, engine, mask=mask)
    assert_parity(python, rust)


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1])
def test_every_seed(seed):
    assert_parity(*autonomous_pair(scene(), {"patch_size": 4, "seed": seed}, max_iterations=2))
