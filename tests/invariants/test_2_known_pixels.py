"""Invariant 2: visible pixels come back exactly as given, in the input's dtype and range."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import BUILT_IN, CONCRETE, holes, in_dtype, scene
from segment_scenes import patchwork

from helicopter.core.registry import find_algorithm
from helicopter.models import uncertainty_model
from helicopter.testing.strategies import DTYPES, images_with_masks

MASK = holes()


def same_bytes(one, two):
    assert one.dtype == two.dtype
    assert one.tobytes() == two.tobytes()


@given(images_with_masks(), st.sampled_from(BUILT_IN))
def test_visible_pixels_come_back_bit_by_bit(regional, both, algorithm):
    image, mask = both
    result = regional(algorithm).reconstruct(image, mask)
    assert result.reconstruction.shape == image.shape
    mask = result.uncertainty_map > 0  # what is transparent is a gap, and filled too
    same_bytes(result.reconstruction[~mask], image[~mask])


@pytest.mark.parametrize("open_book", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_was_shown_comes_back_bit_by_bit(autonomous, dtype, open_book):
    image = scene(dtype=dtype)
    for strategy in CONCRETE:
        for mask in (None, MASK):
            result = autonomous(8, strategy=strategy).autonomous_analyze(
                image, open_book=open_book, mask=mask
            )
            shown = ~result.hidden_mask
            assert shown.any()
            same_bytes(result.reconstruction[shown], image[shown])
            assert (result.error_map[shown] == 0).all()
            assert (result.uncertainty_map[shown] == 0).all()
            assert (result.confidence_map[shown] == 1).all()


def test_values_that_arithmetic_would_lose_come_back(autonomous, regional):
    image = scene(dtype="float64")
    image[~MASK] = np.where(image[~MASK] > 0.5, np.nextafter(0.3, 1), -0.0)
    image[~MASK][::7] = 5e-324
    same_bytes(regional().reconstruct(image, MASK).reconstruction[~MASK], image[~MASK])
    result = autonomous(8).autonomous_analyze(image, mask=MASK)
    shown = ~result.hidden_mask
    same_bytes(result.reconstruction[shown], image[shown])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_chosen_range_does_not_round_visible_pixels(autonomous, regional, dtype):
    image = (scene(dtype="float64") * 1e-3 + 1 / 3).astype(dtype)
    result = regional().reconstruct(image, MASK, data_range=(0.3, 0.4))
    same_bytes(result.reconstruction[~MASK], image[~MASK])
    result = autonomous(8).autonomous_analyze(image, data_range=(0.3, 0.4))
    same_bytes(result.reconstruction[~result.hidden_mask], image[~result.hidden_mask])


def test_a_kernel_cannot_change_visible_pixels(autonomous, regional, kernel):
    image = scene()

    def vandal(context, mask):
        prediction = np.full_like(context, 0.125)
        context[:] = 0.75
        mask[:] = True
        return prediction, np.full(mask.shape, 0.5)

    kernel("vandal", vandal)
    result = regional("vandal").reconstruct(image, MASK)
    same_bytes(result.reconstruction[~MASK], image[~MASK])
    assert (result.reconstruction[MASK] == 0.125).all()
    assert (result.uncertainty_map[~MASK] == 0).all()
    analysis = autonomous(8, algorithm="vandal").autonomous_analyze(image)
    hidden = analysis.hidden_mask
    same_bytes(analysis.reconstruction[~hidden], image[~hidden])
    assert (analysis.reconstruction[hidden] == 0.125).all()
    assert 0.1 < hidden.mean() < 0.9


@pytest.mark.parametrize("kind", BUILT_IN)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_backend_itself_writes_hidden_pixels_only(inner, kind, channels):
    image = scene(channels=channels)
    context, mask = image.copy(), MASK.copy()
    variance = inner.reconstruct(context, mask, find_algorithm(kind), uncertainty_model(kind))
    same_bytes(context[~MASK], image[~MASK])
    same_bytes(mask, MASK)
    assert (variance[~MASK] == 0).all()
    assert (context[MASK] != image[MASK]).any()


@pytest.mark.parametrize("open_book", [False, True])
def test_nothing_that_was_shown_is_ever_predicted(autonomous, open_book):
    result = autonomous(8).autonomous_analyze(scene(), open_book=open_book, target_quality=1.0)
    patches = [patch for step in result.history for patch in step.patches]
    assert len(patches) == len(set(patches))
    grid = result.hidden_mask[::8, ::8].ravel()
    assert grid[patches].all()


def test_what_an_open_book_reveals_is_the_truth_to_the_last_bit(autonomous):
    image = np.random.default_rng(5).random((48, 40))  # float64, finer than the float32 inside
    result = autonomous(patch_size=8).autonomous_analyze(
        image, open_book=True, target_quality=1.0, max_iterations=5
    )
    revealed = np.zeros(image.shape, dtype=bool)
    for step in result.history:
        for patch in step.patches:
            y, x = divmod(patch, 5)
            revealed[8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = True
    assert revealed.any()
    np.testing.assert_array_equal(result.reconstruction[revealed], image[revealed])
    drawn = result.hidden_mask & ~revealed
    assert drawn.any()
    assert (result.reconstruction[drawn] != image[drawn]).mean() > 0.9


@pytest.mark.parametrize("halo", [0, 6])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_was_shown_of_a_segment_comes_back_bit_by_bit(segmental, dtype, halo):
    values, labels = patchwork()
    image = in_dtype(values, dtype)
    mask = np.random.default_rng(0).random(labels.shape) < 0.05
    for hidden in (None, mask):
        result = segmental(halo=halo, algorithm="harmonic").segment_aware_reconstruction(
            image, segments=labels, mask=hidden
        )
        shown = ~result.hidden_mask
        assert shown.any()
        same_bytes(result.reconstruction[shown], image[shown])
        assert (result.error_map[shown] == 0).all()
        assert (result.uncertainty_map[shown] == 0).all()
        assert (result.confidence_map[shown] == 1).all()
