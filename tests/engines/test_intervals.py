"""Intervals and confidences: what a stated standard deviation means."""

import dataclasses
import pickle

import numpy as np
import pytest
from networks import random_tensors, write
from scenes import BUILT_IN, holes, mean_colour, scene

from helicopter.core.prediction._error_law import LAPLACE, CalibratedLaw
from helicopter.errors import InvalidOptionError
from helicopter.models import load_network

LEVELS = (0.01, 0.1, 0.3, 0.5, 0.77, 0.8, 0.9, 0.95, 0.99, 0.999)
MASK = holes()


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    path = write(tmp_path_factory.mktemp("own") / "own.safetensors")
    return CalibratedLaw(load_network(path).calibration)


# The laws


def test_the_laplace_law_is_that_of_samples():
    sample = np.abs(np.random.default_rng(0).laplace(0, 1 / np.sqrt(2), 400_000))
    sigma = np.array([0.01, 0.05, 0.3], np.float32)
    for level in (0.5, 0.9, 0.99):
        reach = LAPLACE.reach(sigma, level)
        np.testing.assert_allclose([(sample <= r).mean() for r in reach / sigma], level, atol=3e-3)
    right = [(sample * s <= 0.05).mean() for s in sigma]
    np.testing.assert_allclose(LAPLACE.confidence(sigma), right, atol=3e-3)


def test_the_calibrated_law_is_its_table_at_the_knots(calibrated):
    tensors = random_tensors()
    sigma = np.exp(tensors["calibration.log_sigma"])
    np.testing.assert_allclose(
        calibrated.confidence(sigma), tensors["calibration.confidence"], rtol=1e-5
    )
    for level, log_reach in zip(
        tensors["calibration.levels"].tolist(), tensors["calibration.log_reach"].T, strict=True
    ):
        np.testing.assert_allclose(
            calibrated.reach(sigma, level), sigma * np.exp(log_reach), rtol=1e-4
        )
    # constant beyond the outermost knots
    far = np.array([sigma[0] / 9, sigma[-1] * 9], np.float32)
    np.testing.assert_allclose(
        calibrated.reach(far, 0.5) / far, calibrated.reach(sigma, 0.5)[[0, -1]] / sigma[[0, -1]],
        rtol=1e-4,
    )  # fmt: skip


def test_reach_grows_with_the_level(calibrated):
    sigma = np.exp(np.linspace(-7, 0, 50)).astype(np.float32)
    for law in (LAPLACE, calibrated):
        reaches = np.array([law.reach(sigma, level) for level in LEVELS])
        assert (np.diff(reaches, axis=0) > 0).all()
        assert (reaches > 0).all()
        np.testing.assert_allclose(law.reach(sigma, 1e-6), 0, atol=1e-5)
        assert law.reach(np.zeros(3, np.float32), 0.9).tolist() == [0, 0, 0]


def test_a_laplace_table_gives_the_laplace_law():
    weights = load_network()
    levels = np.array([0.2, 0.5, 0.9, 0.99], np.float32)
    log_sigma = np.linspace(-5, -1, 7, dtype=np.float32)
    reach = np.log(-np.log1p(-levels.astype(float)) / np.sqrt(2)).astype(np.float32)
    law = CalibratedLaw(
        dataclasses.replace(
            weights.calibration, levels=levels, log_sigma=log_sigma,
            log_reach=np.repeat(reach[None], 7, axis=0), confidence=np.ones(7, np.float32),
        )
    )  # fmt: skip
    sigma = np.exp(np.linspace(-6, 0, 30)).astype(np.float32)
    for level in LEVELS:
        np.testing.assert_allclose(law.reach(sigma, level), LAPLACE.reach(sigma, level), rtol=1e-4)


def test_knots_of_the_same_sigma_are_one():
    weights = load_network()
    log_sigma = np.array([-3, -2, -2, -1], np.float32)
    calibration = dataclasses.replace(
        weights.calibration, log_sigma=log_sigma,
        confidence=np.array([1, 0.75, 0.25, 0], np.float32),
        levels=np.array([0.5], np.float32), log_reach=np.zeros((4, 1), np.float32),
    )  # fmt: skip
    confidence = CalibratedLaw(calibration).confidence(
        np.exp(np.array([-2.001, -2, -1.999], np.float32))
    )
    np.testing.assert_allclose(confidence, 0.5, atol=1e-3)


# Of reconstructions


@pytest.mark.parametrize("algorithm", [*BUILT_IN, "flat"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "bool", "float32", "float64"])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_intervals_have_the_image_s_form(regional, kernel, algorithm, dtype, channels):
    kernel("flat", mean_colour)
    image = scene(channels=channels, dtype=dtype)
    if channels == 4 and dtype == "bool":
        image[..., 3] = True  # what is transparent is a gap
    result = regional(algorithm).reconstruct(image, MASK)
    white = result.data_range[1]
    before = None
    for level in LEVELS:
        low, high = result.interval(level)
        assert low.dtype == high.dtype == np.float32
        assert low.shape == high.shape == image.shape
        assert (low <= high).all()
        assert low.min() >= 0
        assert high.max() <= max(white, image.max())
        np.testing.assert_array_equal(low[~MASK], image[~MASK].astype(np.float32))
        np.testing.assert_array_equal(high[~MASK], image[~MASK].astype(np.float32))
        if channels == 4:
            np.testing.assert_array_equal(low[:, :, 3], image[:, :, 3].astype(np.float32))
        if before is not None:
            assert (low <= before[0]).all()
            assert (high >= before[1]).all()
        before = low, high
    # around what was not rounded
    apart = 0.51 if image.dtype.kind in "bu" else 1e-6
    assert (before[0] <= result.reconstruction + apart).all()
    assert (before[1] >= result.reconstruction - apart).all()


def test_the_interval_is_around_what_was_not_rounded(regional):
    image = scene(dtype="float64")
    exact = np.rint(image * 255) / 255
    fine = regional().reconstruct(exact, MASK)
    coarse = regional().reconstruct(np.rint(image * 255).astype(np.uint8), MASK)
    for level in (0.1, 0.9):
        for one, two in zip(fine.interval(level), coarse.interval(level), strict=True):
            np.testing.assert_allclose(255 * one, two, atol=0.02)


def test_intervals_follow_the_range(regional):
    image = scene(dtype="float64")
    one = regional().reconstruct(image, MASK)
    moved = regional().reconstruct(7 * image + 3, MASK, data_range=(3, 10))
    assert moved.data_range == (3.0, 10.0)
    for a, b in zip(one.interval(0.8), moved.interval(0.8), strict=True):
        np.testing.assert_allclose(7 * a + 3, b, atol=2e-3)


def test_a_kernel_that_is_certain_has_no_interval(regional, kernel):
    kernel("certain", lambda context, mask: (mean_colour(context, mask), np.zeros(mask.shape)))
    result = regional("certain").reconstruct(scene(), MASK)
    low, high = result.interval(0.99)
    np.testing.assert_array_equal(low, high)


@pytest.mark.parametrize("level", [0, 1, -0.1, 1.5, "0.9", None, np.nan, True])
def test_bad_levels_are_refused(regional, level):
    result = regional().reconstruct(scene(), MASK)
    with pytest.raises(InvalidOptionError, match=r"level: got .*; expected a number between 0 and"):
        result.interval(level)


def test_intervals_survive_pickling_and_need_no_place_in_json(regional):
    result = regional().reconstruct(scene(dtype="uint8"), MASK)
    again = pickle.loads(pickle.dumps(result))
    for one, two in zip(result.interval(0.9), again.interval(0.9), strict=True):
        np.testing.assert_array_equal(one, two)
    assert not any(name.startswith("_") for name in (*result, *result.to_dict()))
    assert result.to_dict()["data_range"] == [0.0, 255.0]


def test_confidence_comes_from_the_calibration(regional, calibrated, tmp_path):
    result = regional(weights=write(tmp_path / "own.safetensors")).reconstruct(scene(), MASK)
    expected = calibrated.confidence(result.uncertainty_map[MASK])
    np.testing.assert_array_equal(result.confidence_map[MASK], expected)
    assert np.ptp(expected) > 1e-3
