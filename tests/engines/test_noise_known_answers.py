"""Images made of parts and noise that are known: what is said of them."""

import numpy as np
import pytest
from noises import with_noise
from scenes import calm_scene
from scipy import ndimage

CHANNELS = [None, 3]
SIZE = (256, 320)


def to_bytes(levels):
    return np.rint(np.clip(levels, 0, 255)).astype(np.uint8)


def normal(levels, sigma, seed=0):
    return levels + sigma * np.random.default_rng(seed).standard_normal(levels.shape)


@pytest.mark.parametrize("channels", CHANNELS)
def test_the_segments_of_a_composed_image(detector, channels):
    clean = calm_scene(*SIZE, channels)
    top, bottom, left, right = np.s_[:128], np.s_[128:], np.s_[:, :160], np.s_[:, 160:]
    image = clean.copy()
    image[top][right] = with_noise("gaussian", clean[top][right], 1)
    image[bottom][left] = with_noise("salt_pepper", clean[bottom][left], 2)
    image[bottom][right] = normal(np.full_like(clean[bottom][right], 128), 70)
    untouched, noisy, damaged, lost = detector().analyze(to_bytes(image), segments=2).segments
    assert (untouched.kinds, untouched.action) == (("clean",), "keep")
    assert (noisy.kinds, noisy.action) == (("gaussian",), "denoise")
    assert noisy.sigma == pytest.approx(12, rel=0.05)
    assert (damaged.kinds, damaged.action) == (("salt_pepper",), "median_filter")
    assert lost.level == "severe"
    assert "gaussian" in lost.kinds
    assert lost.action == "discard"
    assert lost.sigma == pytest.approx(70, rel=0.05)
    assert untouched.priority > 0.98
    assert untouched.priority > noisy.priority > damaged.priority > lost.priority
    assert lost.priority < 0.02


@pytest.mark.parametrize("channels", CHANNELS)
def test_a_saturated_sky_and_black_borders_are_no_content(detector, channels):
    image = normal(calm_scene(*SIZE, channels), 6)
    image[:80] = 255
    image[-16:] = image[:, :16] = 0
    found = detector().analyze(to_bytes(image))
    assert found.kinds == ("gaussian",)
    assert found.sigma == pytest.approx(6, rel=0.03)


@pytest.mark.parametrize("channels", CHANNELS)
def test_a_narrow_histogram(detector, channels):
    image = normal(100 + 0.15 * calm_scene(*SIZE, channels), 2)
    assert detector().level(to_bytes(image)).sigma == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("channels", CHANNELS)
def test_twelve_bits_in_a_file_of_sixteen(detector, channels):
    levels = np.clip(normal(calm_scene(*SIZE, channels), 6), 0, 255)
    image = np.rint(levels * (4095 / 255)).astype(np.uint16)
    found = detector().level(image, data_range=(0, 4095))
    assert found.sigma == pytest.approx(6 * 4095 / 255, rel=0.03)


@pytest.mark.parametrize("channels", CHANNELS)
def test_coloured_noise_over_the_scales(detector, channels):
    clean = calm_scene(*SIZE, channels)
    white = normal(np.zeros_like(clean), 1)
    blur = (1.0, 1.0) if channels is None else (1.0, 1.0, 0)
    coloured = ndimage.gaussian_filter(white, blur)
    coloured *= 10 / coloured.std()
    found = detector().analyze(to_bytes(clean + coloured))
    assert found.noise_colour == "coloured"
    for scale in found.scales:
        side = scale.scale
        rows, columns = SIZE[0] // side, SIZE[1] // side
        squares = coloured.reshape(rows, side, columns, side, -1).mean(axis=(1, 3))
        assert scale.sigma == pytest.approx(squares.std(), rel=0.1)
    found = detector().analyze(to_bytes(clean + 10 * white))
    assert found.noise_colour == "white"
    assert [scale.sigma for scale in found.scales] == pytest.approx([10, 5, 2.5, 1.25], rel=0.03)


@pytest.mark.parametrize("channels", CHANNELS)
def test_the_law_of_photons_and_electronics(detector, channels):
    rng = np.random.default_rng(3)
    clean = calm_scene(*SIZE, channels)
    image = normal(1.5 * rng.poisson(clean / 1.5), 5)
    law = detector().analyze(to_bytes(image)).noise_level_function
    assert law.a == pytest.approx(1.5, rel=0.35)
    assert law.at(60.0) == pytest.approx(np.sqrt(1.5 * 60 + 25), rel=0.1)
    assert law.at(180.0) == pytest.approx(np.sqrt(1.5 * 180 + 25), rel=0.1)
