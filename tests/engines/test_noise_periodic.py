"""Periodic interference: found, measured and removed; and nothing found where there is none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicopter.backends.reference.analysis.noise.periodic import (
    FEATURES,
    SPECTRUM_SIDE,
    Component,
    find_periodic,
    remove,
)


def scene(height, width, channels=1, *, seed=0):
    """Something like a photograph: smooth, with edges and a little grain; levels of 255."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    light = 0.45 + 0.15 * np.sin(y / 97.0 + 1.0) * np.cos(x / 71.0)
    light += 0.12 * (np.hypot(y - height / 3, x - width / 2) < min(height, width) / 4)
    image = light[:, :, None] * np.linspace(1.0, 0.8, channels)
    image = image + rng.normal(0.0, 2 / 255, image.shape)
    return levels(image)


def levels(image):
    return (np.rint(np.clip(image, 0.0, 1.0) * 255.0) / 255.0).astype(np.float32)


def wave(shape, fy, fx, amplitude, phase):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return amplitude * np.cos(2 * np.pi * (fy * y + fx * x) + phase)


def everything(image):
    return np.ones(image.shape[:2], dtype=bool)


@pytest.mark.parametrize(("height", "width", "channels"), [(256, 384, 3), (200, 200, 1)])
def test_nothing_is_found_in_a_clean_image(height, width, channels):
    image = scene(height, width, channels)
    found = find_periodic(image, everything(image))
    assert found.components == ()
    assert np.array_equal(remove(image, found.components), image)


def test_two_waves_are_found_and_measured():
    image = scene(256, 320, 3)
    waves = [(0.21, 0.083, 8 / 255, 0.7), (0.034, -0.061, 6 / 255, -2.0)]
    dirty = levels(image + sum(wave(image.shape, *each) for each in waves)[:, :, None])
    found = find_periodic(dirty, everything(dirty)).components
    assert len(found) == 2
    for one, (fy, fx, amplitude, phase) in zip(found, waves, strict=True):
        assert abs(one.frequency_y - fy) < 0.5 / 256
        assert abs(one.frequency_x - fx) < 0.5 / 320
        assert one.amplitude == pytest.approx(amplitude, rel=0.05)
        assert abs(np.angle(np.exp(1j * (one.phase - phase)))) < 0.15
        assert 0.5 < one.strength <= 1.0
    rest = remove(dirty, found) - image
    assert np.std(rest) < 0.2 * np.std(dirty - image)


def test_excluded_pixels_have_no_say():
    image = levels(scene(192, 192) + wave((192, 192), 0.15, 0.11, 7 / 255, 0.0)[:, :, None])
    included = everything(image)
    included[60:90, 20:150] = False
    included[::7, ::5] = False
    changed = image.copy()
    changed[~included] = 1.0
    one, other = find_periodic(image, included), find_periodic(changed, included)
    # saturated pixels lower a block's weight, also where they are excluded: hence not to the bit
    assert len(one.components) == len(other.components) == 1
    assert one.components[0].amplitude == pytest.approx(7 / 255, rel=0.05)
    assert one.components[0].frequency_y == pytest.approx(other.components[0].frequency_y, abs=1e-4)


def test_a_large_image_is_searched_in_windows():
    height, width = 1300, 1900
    rng = np.random.default_rng(5)
    base = 0.5 + 0.1 * np.sin(np.arange(width) / 300.0) + np.zeros((height, 1))
    dirty = base + wave((height, width), 0.123456, 0.0765432, 5 / 255, 1.0)
    dirty = levels(dirty + rng.normal(0.0, 4 / 255, dirty.shape))[:, :, None]
    (one,) = find_periodic(dirty, everything(dirty)).components
    assert one.frequency_y == pytest.approx(0.123456, abs=0.1 / height)
    assert one.frequency_x == pytest.approx(0.0765432, abs=0.1 / width)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 90, 3), (15, 300, 1), (16, 16, 3), (17, 40, 1)])
def test_small_images_do_not_fail(shape):
    image = np.random.default_rng(1).random(shape).astype(np.float32)
    found = find_periodic(image, everything(image))
    assert found.features.shape == (len(FEATURES),)
    assert found.spectrum.shape == (SPECTRUM_SIDE, SPECTRUM_SIDE)


def test_an_image_with_nothing_included():
    image = scene(64, 64)
    assert find_periodic(image, np.zeros((64, 64), dtype=bool)).components == ()


def test_the_spectrum_shows_the_wave():
    image = levels(scene(256, 256) + wave((256, 256), 0.25, 0.125, 8 / 255, 0.0)[:, :, None])
    spectrum = find_periodic(image, everything(image)).spectrum
    middle = SPECTRUM_SIDE // 2
    top = np.unravel_index(np.argmax(spectrum), spectrum.shape)
    place = np.abs(np.array(top) - middle) / SPECTRUM_SIDE
    assert place == pytest.approx([0.25, 0.125], abs=1.5 / SPECTRUM_SIDE)


def test_removing_adds_up():
    image = scene(40, 50, 3)
    component = Component(0.1, -0.2, 0.05, 0.3, 1.0)
    rest = remove(image, (component,))
    added = wave((40, 50), 0.1, -0.2, 0.05, 0.3)[:, :, None]
    assert rest.dtype == np.float32
    assert np.allclose(rest + added, image, atol=1e-6)


@settings(max_examples=12, deadline=None)
@given(
    period=st.floats(2.5, 20.0),
    angle=st.floats(0.05, np.pi - 0.05),
    phase=st.floats(-3.0, 3.0),
    amplitude=st.floats(6.0, 25.0),
)
def test_any_wave_is_found(period, angle, phase, amplitude):
    fy, fx = np.sin(angle) / period, np.cos(angle) / period
    image = scene(256, 256)
    dirty = levels(image + wave((256, 256), fy, fx, amplitude / 255, phase)[:, :, None])
    found = find_periodic(dirty, everything(dirty)).components
    assert len(found) >= 1
    one = found[0]
    assert abs(one.frequency_y - fy) < 0.5 / 256
    assert abs(abs(one.frequency_x) - abs(fx)) < 0.5 / 256
    assert one.amplitude * 255 == pytest.approx(amplitude, rel=0.05)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), height=st.integers(1, 70), width=st.integers(1, 70))
def test_features_are_finite(seed, height, width):
    rng = np.random.default_rng(seed)
    image = rng.random((height, width, 3)).astype(np.float32)
    found = find_periodic(image, rng.random((height, width)) < 0.8)
    assert np.isfinite(found.features).all()
    assert np.isfinite(found.spectrum).all()
    amplitudes = [each.amplitude for each in found.components]
    assert amplitudes == sorted(amplitudes, reverse=True)
    assert all(each.frequency_y >= 0.0 for each in found.components)
