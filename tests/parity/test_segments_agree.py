"""Rust against Python, segment by segment, within the table of tiers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pairs import all_pairs
from scenes import BUILT_IN, CONCRETE, in_dtype, mean_colour, photograph, scene, unsure
from segment_scenes import patchwork, voronoi

from helicopter.core import SegmentAwareReconstructionEngine
from helicopter.testing import assert_parity
from helicopter.testing.strategies import DTYPES, images_with_masks, shapes

pytestmark = pytest.mark.usefixtures("both_backends")


def pair(image, segments, engine=(), **call):
    results = [
        SegmentAwareReconstructionEngine(
            use_rust_acceleration=rust, **dict(engine)
        ).segment_aware_reconstruction(image, segments=segments, **call)
        for rust in (False, True)
    ]
    assert [result.backend for result in results] == ["python", "rust"]
    return results


@all_pairs(
    algorithm=(*BUILT_IN, "exemplar", "mean_colour", "unsure"),
    halo=(0, 5, 1000),
    masked=(False, True),
)
def test_every_combination_of_options(kernel, algorithm, halo, masked):
    for function in (mean_colour, unsure):
        kernel(function.__name__, function)
    image, labels = patchwork()
    mask = np.random.default_rng(4).random(labels.shape) < 0.1 if masked else None
    engine = {"algorithm": algorithm, "halo": halo, "seed": 5}
    assert_parity(*pair(image, labels, engine, mask=mask))


@pytest.mark.parametrize("strategy", CONCRETE)
@pytest.mark.parametrize("patch_size", [1, 5, 16])
def test_every_strategy_and_patch_size(strategy, patch_size):
    image, labels = patchwork()
    for algorithm in ("network", "harmonic"):
        engine = {"algorithm": algorithm, "strategy": strategy, "patch_size": patch_size}
        assert_parity(*pair(image, labels, engine, max_iterations=7, target_quality=1.0))


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype, channels):
    image = in_dtype(scene(channels=channels), dtype)
    assert_parity(*pair(image, voronoi(48, 56, 6)))


@given(
    images_with_masks(shape=shapes(min_side=1, max_side=40)),
    st.integers(1, 30),
    st.integers(0, 2**32 - 1),
    st.fixed_dictionaries(
        {
            "patch_size": st.integers(1, 12),
            "strategy": st.sampled_from(CONCRETE),
            "algorithm": st.sampled_from(BUILT_IN),
            "seed": st.integers(0, 2**64 - 1),
            "halo": st.sampled_from([0, 0, 1, 4, 50]),
        }
    ),
    st.fixed_dictionaries(
        {
            "target_quality": st.none() | st.floats(0, 1),
            "initial_known": st.floats(0.01, 0.99),
            "max_iterations": st.none() | st.integers(1, 6),
        }
    ),
    st.booleans(),
)
@settings(max_examples=60)
def test_any_segments(both, count, seed, engine, call, masked):
    image, mask = both
    rng = np.random.default_rng(seed)
    labels = rng.integers(-5, count, mask.shape) if seed % 3 == 0 else voronoi(*mask.shape, count)
    assert_parity(*pair(image, labels, engine, mask=mask if masked else None, **call))


def test_a_photograph():
    image = photograph(160, 200)
    assert_parity(*pair(image, 30))
    assert_parity(*pair(image, voronoi(160, 200, 25)))


def test_a_chosen_range():
    image, labels = patchwork()
    results = pair(image * 200 - 100, labels, data_range=(-100, 100))
    assert_parity(*results, data_range=(-100, 100))
