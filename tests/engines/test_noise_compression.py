"""JPEG compression: the quality and the lattice are read from the pixels alone."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helicopter.backends.reference.analysis.noise.compression import (
    FEATURES,
    find_compression,
    quantiser,
)


def scene(height, width, channels=3, *, seed=0):
    """Smooth light, edges and grain, as uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    light = 120 + 50 * np.sin(y / 23.0 + seed) * np.cos(x / 31.0)
    light += 30 * (np.sin(x / 5.0 + y / 9.0) > 0.3)
    image = light[:, :, None] * np.linspace(1.0, 0.8, channels)
    image = image + rng.normal(0.0, 6.0, image.shape)
    return np.clip(np.rint(image), 1, 254).astype(np.uint8)


def saved(image, quality):
    """What comes back from a JPEG file."""
    picture = Image.fromarray(image if image.shape[2] == 3 else image[:, :, 0])
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    decoded = np.asarray(Image.open(file))
    return decoded if decoded.ndim == 3 else decoded[:, :, None]


def find(image, included=None):
    pixels = image.astype(np.float32) / np.float32(255)
    everything = np.ones(image.shape[:2], dtype=bool)
    return find_compression(pixels, everything if included is None else included)


def test_the_quantiser_is_that_of_the_ijg():
    file = io.BytesIO()
    for quality in (1, 5, 30, 49, 50, 75, 95, 100):
        Image.new("L", (8, 8)).save(file, "JPEG", quality=quality)
        file.seek(0)
        assert quantiser(quality).ravel().tolist() == list(Image.open(file).quantization[0])
        file.seek(0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quality", [5, 12, 30, 49, 50, 66, 80, 90])
def test_the_quality_is_read(quality, channels):
    found = find(saved(scene(160, 200, channels), quality))
    assert found.quality == quality
    assert found.grid == (0, 0)


@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_is_found_in_a_clean_image(channels):
    assert find(scene(160, 200, channels)).quality is None


def test_noise_on_top_hides_the_comb():
    image = saved(scene(160, 200), 60).astype(np.float64)
    noisy = image + np.random.default_rng(3).normal(0.0, 6.0, image.shape)
    assert find(np.clip(np.rint(noisy), 0, 255).astype(np.uint8)).quality is None


def test_excluded_pixels_have_no_say():
    image = saved(scene(160, 200), 40)
    included = np.ones(image.shape[:2], dtype=bool)
    included[30:70, 50:120] = False
    changed = image.copy()
    changed[~included] = 77
    one, other = find(image, included), find(changed, included)
    assert one.quality == other.quality == 40
    assert np.array_equal(one.features, other.features)


@pytest.mark.parametrize("value", [0, 90, 255])
def test_a_flat_image_says_nothing(value):
    found = find(np.full((64, 64, 3), value, dtype=np.uint8))
    assert found.quality is None
    assert np.isfinite(found.features).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 200, 3), (8, 8, 1), (9, 15, 3)])
def test_small_images_do_not_fail(shape):
    image = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    assert find(image).features.shape == (len(FEATURES),)


@settings(max_examples=15, deadline=None)
@given(
    quality=st.integers(10, 80),
    dy=st.integers(0, 7),
    dx=st.integers(0, 7),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 100),
)
def test_the_lattice_is_found_in_crops(quality, dy, dx, channels, seed):
    image = saved(scene(136, 152, channels, seed=seed), quality)[dy:, dx:]
    found = find(image)
    assert found.grid == (-dy % 8, -dx % 8)
    assert found.quality is not None
    assert abs(found.quality - quality) <= 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), height=st.integers(1, 50), width=st.integers(1, 50))
def test_features_are_finite(seed, height, width):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    found = find(image, rng.random((height, width)) < 0.9)
    assert np.isfinite(found.features).all()
    assert found.quality is None or 1 <= found.quality <= 100
