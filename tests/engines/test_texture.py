"""The texture score: what it ranks, and what it does not look at."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from scenes import in_dtype, scene
from scipy.ndimage import gaussian_filter

from helicopter.backends.reference.algorithms import exemplar, pde
from helicopter.core.prediction._texture import texture_faithfulness
from helicopter.errors import InvalidImageError, InvalidMaskError
from helicopter.testing.strategies import DTYPES, images_with_masks, shapes


def grass(seed=0, side=96, channels=3):
    """Blades: noise, drawn out along a slant."""
    noise = np.random.default_rng(seed).normal(size=(side, side))
    blades = sum(
        np.roll(gaussian_filter(noise, 0.6, mode="wrap"), (k, k // 2), (0, 1)) for k in range(6)
    )
    values = 0.45 + 0.12 * blades / blades.std()
    return np.clip(values[:, :, None] * np.array([0.7, 1.0, 0.5])[:channels], 0, 1).astype(
        "float32"
    )


HOLE = np.zeros((96, 96), dtype=bool)
HOLE[30:66, 28:68] = True


def psnr(a, b):
    return -10 * math.log10(np.square(a - b)[HOLE].mean())


def filled(image, how):
    image = image.copy()
    how(image)
    return image


@given(images_with_masks(shape=shapes(max_side=24)))
@settings(max_examples=60)
def test_from_0_to_1_and_the_truth_is_1(both):
    image, mask = both
    score = texture_faithfulness(image, image, mask)
    if not mask.any():
        assert math.isnan(score)
        return
    assert score == pytest.approx(1.0)
    other = image[::-1, ::-1]
    assert 0.0 <= texture_faithfulness(image, other, mask) <= 1.0 + 1e-12


@pytest.mark.parametrize("channels", [1, 3])
def test_it_shows_what_psnr_hides(channels):
    image = grass(channels=channels)
    blurred = filled(image, lambda image: pde.solve(image, HOLE, "harmonic"))
    sewn = filled(image, lambda image: exemplar.fill(image, HOLE))
    assert psnr(image, blurred) > psnr(image, sewn) + 1
    assert texture_faithfulness(image, blurred, HOLE) < 0.45
    assert texture_faithfulness(image, sewn, HOLE) > 0.8


def test_the_more_is_blurred_the_lower():
    image = grass()
    scores = [
        texture_faithfulness(image, gaussian_filter(image, (blur, blur, 0)), HOLE)
        for blur in (0, 0.5, 1, 2, 4, 8)
    ]
    assert scores[0] == 1.0
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.4


def test_other_grass_is_as_good_and_noise_or_grass_that_lies_are_not():
    image = grass()
    same = texture_faithfulness(image, grass(seed=1), HOLE)
    noise = np.random.default_rng(0).random(image.shape).astype("float32")
    assert same > 0.85
    assert texture_faithfulness(image, noise, HOLE) < same - 0.2
    assert texture_faithfulness(image, grass(seed=1).swapaxes(0, 1), HOLE) < same - 0.02


def test_it_is_symmetric_and_the_mean_level_does_not_enter():
    image, other = grass() * 0.5, grass(seed=1) * 0.3
    forth = texture_faithfulness(image, other, np.ones_like(HOLE))
    assert forth == pytest.approx(texture_faithfulness(other, image, np.ones_like(HOLE)))
    assert texture_faithfulness(image, image + np.float32(0.2), np.ones_like(HOLE)) > 0.999


def test_what_was_visible_is_not_looked_at():
    image, other = grass(), grass(seed=1)
    expected = texture_faithfulness(image, other, HOLE)
    other[~HOLE] = np.nan
    assert texture_faithfulness(image, other, HOLE) == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_means_the_same(dtype):
    if dtype == "bool":
        return
    image, other = (in_dtype(grass(seed), dtype) for seed in (0, 1))
    expected = texture_faithfulness(grass(), grass(seed=1), HOLE)
    assert texture_faithfulness(image, other, HOLE) == pytest.approx(expected, abs=0.01)


def test_strips_do_not_show(monkeypatch):
    image, other = scene(90, 70), scene(90, 70, seed=3)
    mask = np.random.default_rng(0).random((90, 70)) < 0.5
    whole = texture_faithfulness(image, other, mask)
    monkeypatch.setattr("helicopter.core.prediction._texture.STRIP", 17)
    assert texture_faithfulness(image, other, mask) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_prediction_that_is_not_finite_is_called_that(value, dtype):
    image = grass().astype(dtype)
    drawn = image.copy()
    drawn[40, 40:42] = value
    words = r"reconstruction: 6 values at hidden pixels are NaN or infinite; .* leave them out of"
    with pytest.raises(InvalidImageError, match=words):
        texture_faithfulness(image, drawn, HOLE)
    sound = HOLE & np.isfinite(drawn).all(axis=2)
    assert texture_faithfulness(image, drawn, sound) == pytest.approx(1.0)


def test_what_does_not_fit_is_refused():
    image = grass()
    with pytest.raises(InvalidImageError, match="reconstruction"):
        texture_faithfulness(image, image[:, :, 0], HOLE)
    with pytest.raises(InvalidImageError, match="reconstruction"):
        texture_faithfulness(image, image.astype("float64"), HOLE)
    with pytest.raises(InvalidMaskError, match="hidden"):
        texture_faithfulness(image, image, HOLE[1:])
    with pytest.raises(InvalidImageError, match="truth"):
        texture_faithfulness(None, image, HOLE)
