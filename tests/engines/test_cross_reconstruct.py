"""Cross-reconstruction: every patch once, from the others only, and what stands out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import BUILT_IN, mean_colour, photograph, scene, unsure

from helicopter._shared.patches import PatchGrid
from helicopter.core import RegionalReconstructionEngine
from helicopter.core.prediction._cross import assign_folds
from helicopter.errors import InvalidImageError, InvalidOptionError, KernelError
from helicopter.testing import assert_parity

IMAGE = scene(48, 56)
PATCH = 8


def boxes(result):
    return [(np.s_[b[0] : b[2], b[1] : b[3]], p) for p in result.patches() for b in [p.box]]


# Folds


@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(1, 20), st.integers(2, 9), st.integers(0, 9)
)
def test_folds_are_even_in_number_and_in_space(height, width, side, folds, seed):
    grid = PatchGrid(height, width, side)
    if grid.count < folds:
        return
    fold = assign_folds(grid, folds, seed)
    counts = np.bincount(fold, minlength=folds)
    assert counts.max() - counts.min() <= 1
    assert (fold == assign_folds(grid, folds, seed)).all()


@pytest.mark.parametrize("folds", [2, 4, 9, 16])
def test_every_neighbourhood_holds_every_fold(folds):
    side = int(np.ceil(np.sqrt(folds)))
    grid = PatchGrid(12 * side * 8, 10 * side * 8, 8)
    fold = assign_folds(grid, folds, 3).reshape(grid.rows, grid.cols)
    blocks = fold.reshape(12, side, 10, side).swapaxes(1, 2).reshape(-1, side * side)
    for block in blocks:
        assert set(block) == set(range(folds))
    # and not always at the same place
    assert len({tuple(block) for block in blocks}) > min(folds, 10)
    assert (fold.ravel() != assign_folds(grid, folds, 4)).any()


def test_every_patch_is_hidden_once(regional, kernel):
    masks = []
    kernel("spy", lambda context, mask: masks.append((context, mask)) or mean_colour(context, mask))
    result = regional("spy").cross_reconstruct(IMAGE, folds=5, patch_size=PATCH)
    assert len(masks) == 5
    np.testing.assert_array_equal(sum(mask.astype(int) for _, mask in masks), 1)
    for number, (context, mask) in enumerate(masks):
        assert (context[mask] == 0).all()
        np.testing.assert_array_equal(context[~mask], IMAGE[~mask])
        here = np.zeros_like(mask)
        for box, patch in boxes(result):
            here[box] = patch.fold == number
        np.testing.assert_array_equal(mask, here)
        prediction = mean_colour(context, mask)
        np.testing.assert_array_equal(result.reconstruction[mask], prediction[mask])


# No leakage


@pytest.mark.parametrize("algorithm", [*BUILT_IN, "unsure"])
def test_no_patch_has_a_say_in_its_own_prediction(regional, kernel, algorithm):
    kernel("unsure", unsure)
    engine = regional(algorithm, seed=2)
    expected = engine.cross_reconstruct(IMAGE, patch_size=PATCH)
    rng = np.random.default_rng(0)
    scores = expected.patches()
    for patch in rng.choice(len(scores), 4, replace=False).tolist():
        top, left, bottom, right = scores[patch].box
        box = np.s_[top:bottom, left:right]
        changed = IMAGE.copy()
        changed[box] = rng.random(changed[box].shape)
        result = engine.cross_reconstruct(changed, patch_size=PATCH)
        for name in ("reconstruction", "uncertainty_map", "confidence_map"):
            assert result[name][box].tobytes() == expected[name][box].tobytes(), name
        assert result.patches()[patch].confidence == scores[patch].confidence
        assert result.patches()[patch].quality != scores[patch].quality
        if algorithm != "unsure":
            assert (result.reconstruction != expected.reconstruction).any()


def test_no_fold_has_a_say_in_its_own_predictions(regional):
    engine = regional()
    expected = engine.cross_reconstruct(IMAGE, patch_size=PATCH)
    hidden = np.kron(expected.patch_fold == 1, np.ones((PATCH, PATCH), bool))
    result = engine.cross_reconstruct(
        np.where(hidden[:, :, None], 1 - IMAGE, IMAGE), patch_size=PATCH
    )
    for name in ("reconstruction", "uncertainty_map"):
        assert result[name][hidden].tobytes() == expected[name][hidden].tobytes()


@pytest.mark.parametrize("algorithm", BUILT_IN)
def test_a_fold_is_a_reconstruction(regional, algorithm):
    engine = regional(algorithm)
    result = engine.cross_reconstruct(IMAGE, patch_size=PATCH)
    for number in range(4):
        hidden = np.kron(result.patch_fold == number, np.ones((PATCH, PATCH), bool))
        alone = engine.reconstruct(IMAGE, hidden)
        for name in ("reconstruction", "uncertainty_map", "confidence_map"):
            np.testing.assert_array_equal(result[name][hidden], alone[name][hidden])


# Measures


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_measures_are_those_of_the_maps(regional, dtype):
    image = scene(48, 56, dtype=dtype)
    units = 255 if dtype == "uint8" else 1
    result = regional().cross_reconstruct(image, patch_size=PATCH)
    true = image.astype(float) / units
    error = result.reconstruction / units - true
    mse = np.square(error).mean()
    apart = 2e-4 if dtype == "uint8" else 1e-6  # roundings
    assert result.reconstruction_quality == pytest.approx(1 / (1 + 10 * mse), abs=apart)
    assert result.mae == pytest.approx(np.abs(error).mean() * units, rel=0.02)
    assert result.mae == pytest.approx(result.error_map.mean(), rel=1e-4)
    variance = np.square(true - true.mean(axis=(0, 1))).mean()
    assert result.skill == pytest.approx(1 - mse / variance, abs=10 * apart)
    assert result.average_confidence == pytest.approx(result.patch_confidence.mean(), rel=1e-6)
    assert (result.uncertainty_map > 0).all()
    sigma = result.uncertainty_map[:, :, None] / units
    if dtype == "float64":
        size = np.sqrt(np.square(error / sigma).mean(axis=2))
        np.testing.assert_allclose(np.abs(result.surprise_map), size, rtol=1e-3, atol=1e-4)
        clear = np.abs(error.mean(axis=2)) > 1e-5
        np.testing.assert_array_equal(
            np.sign(result.surprise_map)[clear], -np.sign(error.mean(axis=2))[clear]
        )
        for box, patch in boxes(result):
            of_patch = 1 / (1 + 10 * np.square(error[box]).mean())
            assert patch.quality == pytest.approx(of_patch, abs=1e-6)


def test_patches_are_named_by_their_boxes(regional):
    result = regional("harmonic").cross_reconstruct(scene(37, 43), 3, 16)
    assert result.patch_quality.shape == result.patch_fold.shape == (3, 3)
    covered = np.zeros((37, 43), int)
    for box, patch in boxes(result):
        covered[box] += 1
        assert 0 <= patch.fold < 3
        assert 0 <= patch.confidence <= 1
    np.testing.assert_array_equal(covered, 1)
    assert result.patches()[-1].box == (32, 32, 37, 43)
    assert (result.folds, result.patch_size) == (3, 16)


@pytest.mark.parametrize("algorithm", BUILT_IN)
def test_what_does_not_belong_is_what_surprises(regional, algorithm):
    y, x = np.mgrid[:64, :80]
    image = 0.5 + 0.2 * np.sin(y / 9) * np.cos(x / 11)
    image += np.random.default_rng(0).normal(0, 0.01, image.shape)
    image[24:32, 40:48] += 0.3
    result = regional(algorithm).cross_reconstruct(image, patch_size=PATCH)
    assert np.unravel_index(np.argmax(result.patch_surprise), (8, 10)) == (3, 5)
    assert result.surprise_map[24:32, 40:48].mean() > 0  # brighter than expected
    assert result.patch_quality[3, 5] == result.patch_quality.min()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "bool", "float32", "float64"])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_every_dtype_and_shape(regional, dtype, channels):
    image = scene(24, 40, channels, dtype)
    result = regional().cross_reconstruct(image, patch_size=PATCH)
    assert result.reconstruction.dtype == image.dtype
    assert result.reconstruction.shape == image.shape
    if channels == 4:
        np.testing.assert_array_equal(result.reconstruction[:, :, 3], image[:, :, 3])
    for name in ("uncertainty_map", "confidence_map", "error_map", "surprise_map"):
        assert result[name].dtype == np.float32
        assert result[name].shape == (24, 40)
        assert np.isfinite(result[name]).all()
    low, high = result.interval(0.9)
    assert low.shape == high.shape == image.shape
    assert (low <= high).all()


def test_flat_and_tiny_images(regional):
    for algorithm in BUILT_IN:
        result = regional(algorithm).cross_reconstruct(np.full((32, 32), 0.25))
        assert np.isnan(result.skill)
        for value in result.values():
            assert not isinstance(value, np.ndarray) or np.isfinite(value).all()
    for shape in ((1, 2), (2, 1), (2, 2), (1, 9)):
        result = regional().cross_reconstruct(scene(9, 9, None)[: shape[0], : shape[1]], 2, 1)
        assert result.reconstruction.shape == shape


def test_the_range_scales_what_has_units(regional):
    image = scene(32, 32, 1, "float64")
    one = regional().cross_reconstruct(image, patch_size=PATCH)
    ten = regional().cross_reconstruct(10 * image - 5, patch_size=PATCH, data_range=(-5, 5))
    assert ten.data_range == (-5.0, 5.0)
    np.testing.assert_allclose(ten.reconstruction, 10 * one.reconstruction - 5, atol=1e-3)
    np.testing.assert_allclose(ten.uncertainty_map, 10 * one.uncertainty_map, rtol=1e-2)
    assert ten.mae == pytest.approx(10 * one.mae, rel=1e-3)
    np.testing.assert_allclose(ten.patch_quality, one.patch_quality, atol=1e-4)


# What is refused, progress, parity


@pytest.mark.parametrize("folds", [1, 0, -3, 2.5, "4", None, True])
def test_bad_folds_are_refused(regional, folds):
    with pytest.raises(InvalidOptionError, match=r"folds: got .*; expected a whole number from 2"):
        regional().cross_reconstruct(IMAGE, folds)


@pytest.mark.parametrize("size", [0, -1, 8.0, "8", None])
def test_bad_patch_sizes_are_refused(regional, size):
    with pytest.raises(InvalidOptionError, match=r"patch_size: got .*; expected a whole number"):
        regional().cross_reconstruct(IMAGE, patch_size=size)


def test_more_folds_than_patches_are_refused(regional):
    with pytest.raises(InvalidOptionError, match="folds: got 4 for 2 patches of 16 pixels"):
        regional().cross_reconstruct(scene(16, 32))


def test_bad_images_are_refused(regional):
    image = IMAGE.copy()
    image[0, 0] = np.nan
    with pytest.raises(InvalidImageError, match="NaN"):
        regional().cross_reconstruct(image)
    with pytest.raises(InvalidImageError, match="got None"):
        regional().cross_reconstruct(None)


def test_progress_counts_the_folds(regional):
    calls = []
    regional().cross_reconstruct(IMAGE, 3, PATCH, progress=lambda *step: calls.append(step))
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        regional().cross_reconstruct(IMAGE, 3, PATCH, progress=stop)


def test_a_kernel_that_fails_is_heard(regional, kernel):
    kernel("nothing", lambda context, mask: None)
    with pytest.raises(KernelError, match="'nothing' returned NoneType"):
        regional("nothing").cross_reconstruct(IMAGE)


def test_the_image_is_left_alone(regional):
    image = photograph(40, 40)
    before = image.copy()
    image.flags.writeable = False
    regional().cross_reconstruct(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.usefixtures("both_backends")
@pytest.mark.parametrize("algorithm", [*BUILT_IN, "unsure"])
def test_both_backends_agree(kernel, algorithm):
    kernel("unsure", unsure)
    for image in (photograph(64, 80), scene(37, 43, None), scene(24, 24, 4, "bool")):
        pair = [
            RegionalReconstructionEngine(algorithm, use_rust_acceleration=rust).cross_reconstruct(
                image, 3, PATCH
            )
            for rust in (False, True)
        ]
        assert_parity(*pair)
        for one, two in zip(*(result.patches() for result in pair), strict=True):
            assert (one.box, one.fold) == (two.box, two.fold)
