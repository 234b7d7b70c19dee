"""Impulse noise: what is found, how much of it, and what is left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicopter.backends.reference.analysis.noise.impulses import FEATURES, find_impulses, repair
from helicopter.backends.reference.analysis.noise.impulses import counts as impulse_counts
from helicopter.backends.reference.analysis.noise.impulses import marks as impulse_marks

SIDE = 256


def scenery(channels=1, seed=0, side=SIDE):
    """Smooth shapes, a textured part and an edge, between 0.1 and 0.9."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    planes = []
    for c in range(channels):
        plane = 0.5 + 0.25 * np.sin(5 * x + 2 * c) * np.cos(4 * y + c)
        plane += 0.08 * np.sin(90 * x * y) * (x > 0.5)
        plane += np.where(y > 0.6 + 0.2 * x, 0.1, -0.05)
        planes.append(plane + 0.01 * rng.standard_normal(plane.shape))
    return quantised(np.stack(planes, axis=2).clip(0.1, 0.9))


def quantised(pixels, levels=255):
    return (np.rint(np.clip(pixels, 0, 1) * levels) / levels).astype(np.float32)


def hit(pixels, density, kind, seed=1):
    """Hits of whole pixels; the noisy image and where they are."""
    rng = np.random.default_rng(seed)
    where = rng.random(pixels.shape[:2]) < density
    values = rng.integers(0, 256, where.shape)
    if kind == "salt_pepper":
        values = 255 * (values >= 128)
    noisy = pixels.copy()
    noisy[where] = (values[where, None] / 255).astype(np.float32)
    return noisy, where


def everywhere(pixels):
    return np.ones(pixels.shape[:2], dtype=bool)


def density_of(found, kind):
    densities = {"salt_pepper": found.salt_pepper_density, "impulse": found.impulse_density}
    assert all(density == 0 for name, density in densities.items() if name != kind)
    return densities[kind]


@pytest.mark.parametrize("kind", ["salt_pepper", "impulse"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("density", [0.01, 0.1, 0.3])
def test_the_density_and_the_hits_are_found(kind, channels, density):
    noisy, where = hit(scenery(channels), density, kind)
    found = find_impulses(noisy, everywhere(noisy))
    assert density_of(found, kind) == pytest.approx(where.mean(), rel=0.06)
    assert (found.mask & where).sum() > 0.75 * where.sum()
    assert (found.mask & ~where).sum() < 0.1 * where.sum()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [0.0, 0.02, 0.1, 0.2])
def test_normal_noise_is_no_impulse(channels, sigma):
    clean = scenery(channels)
    noise = np.random.default_rng(2).standard_normal(clean.shape)
    found = find_impulses(quantised(clean + sigma * noise), everywhere(clean))
    assert (found.salt_pepper_density, found.impulse_density) == (0, 0)
    assert not found.mask.any()


@pytest.mark.parametrize("kind", ["salt_pepper", "impulse"])
def test_impulses_are_found_among_normal_noise(kind):
    clean = scenery()
    noise = np.random.default_rng(3).standard_normal(clean.shape)
    noisy, where = hit(quantised(clean + 0.04 * noise), 0.05, kind)
    found = find_impulses(noisy, everywhere(noisy))
    assert density_of(found, kind) == pytest.approx(where.mean(), rel=0.15)


@pytest.mark.parametrize("kind", ["salt_pepper", "impulse"])
def test_hits_of_single_channels_are_found(kind):
    noisy = scenery(3)
    any_hit = np.zeros(noisy.shape[:2], dtype=bool)
    for c in range(3):
        noisy[:, :, c : c + 1], where = hit(noisy[:, :, c : c + 1], 0.05, kind, seed=c)
        any_hit |= where
    found = find_impulses(noisy, everywhere(noisy))
    assert density_of(found, kind) == pytest.approx(any_hit.mean(), rel=0.06)
    assert (found.mask & any_hit).sum() > 0.8 * any_hit.sum()


@pytest.mark.parametrize("channels", [1, 3])
def test_sky_border_and_letters_are_not_salt_and_pepper(channels):
    pixels = scenery(channels)
    pixels[:60] = 1  # a saturated sky
    pixels[-20:] = pixels[:, :20] = 0  # black borders
    rng = np.random.default_rng(4)
    for _ in range(150):  # strokes, black and white, one to three pixels wide
        y, x = rng.integers(70, 220, 2)
        tall, wide = rng.permutation([int(rng.integers(1, 4)), int(rng.integers(6, 14))])
        pixels[y : y + tall, x : x + wide] = rng.integers(0, 2)
    found = find_impulses(pixels, everywhere(pixels))
    assert (found.salt_pepper_density, found.impulse_density) == (0, 0)
    assert not found.mask.any()
    noisy, where = hit(pixels, 0.05, "salt_pepper")
    found = find_impulses(noisy, everywhere(noisy))
    assert density_of(found, "salt_pepper") == pytest.approx(where.mean(), rel=0.1)


def test_extremes_are_those_of_the_data():
    noisy, where = hit(scenery(), 0.05, "salt_pepper")
    twelve_bits = (np.rint(noisy * 4095) / 65535).astype(np.float32)
    found = find_impulses(twelve_bits, everywhere(noisy))
    assert density_of(found, "salt_pepper") == pytest.approx(where.mean(), rel=0.06)


def test_excluded_pixels_have_no_influence():
    noisy, _ = hit(scenery(), 0.05, "impulse")
    included = everywhere(noisy)
    included[40:90, 30:200] = False
    included[np.random.default_rng(5).random(included.shape) < 0.02] = False
    found = find_impulses(noisy, included)
    assert not found.mask[~included].any()
    fixed = repair(noisy, found.mask, included)
    other = noisy.copy()
    other[~included] = np.float32(0.77)
    changed = find_impulses(other, included)
    assert found.impulse_density == changed.impulse_density
    np.testing.assert_array_equal(found.features, changed.features)
    np.testing.assert_array_equal(found.mask, changed.mask)
    np.testing.assert_array_equal(fixed[included], repair(other, found.mask, included)[included])


def test_repair_takes_values_from_around_and_keeps_the_noise():
    rng = np.random.default_rng(6)
    clean = (0.5 + 0.05 * rng.standard_normal((SIDE, SIDE, 1))).astype(np.float32)
    noisy, where = hit(clean, 0.3, "salt_pepper")
    fixed = repair(noisy, where)
    np.testing.assert_array_equal(fixed[~where], noisy[~where])
    assert np.isin(fixed[where], noisy[~where]).all()
    difference = fixed[:, 2:, 0] - 2 * fixed[:, 1:-1, 0] + fixed[:, :-2, 0]
    assert difference.std() / np.sqrt(6) == pytest.approx(0.05, rel=0.05)


def test_without_a_donor_pixels_stay():
    pixels = np.full((4, 5, 3), 0.25, dtype=np.float32)
    np.testing.assert_array_equal(repair(pixels, np.ones((4, 5), dtype=bool)), pixels)


def test_the_counts_do_not_depend_on_the_strips(monkeypatch):
    noisy, _ = hit(scenery(), 0.05, "impulse")
    whole = find_impulses(noisy, everywhere(noisy))
    for module in (impulse_counts, impulse_marks):
        monkeypatch.setattr(module, "STRIP", 12)
    monkeypatch.setattr(impulse_marks, "CHUNK", 100)
    parts = find_impulses(noisy, everywhere(noisy))
    np.testing.assert_array_equal(whole.mask, parts.mask)
    np.testing.assert_allclose(whole.features, parts.features, rtol=1e-9)


@given(st.integers(1, 24), st.integers(1, 24), st.sampled_from([1, 3]), st.integers(0, 2**32 - 1))
def test_any_image_gives_finite_results(height, width, channels, seed):
    rng = np.random.default_rng(seed)
    pixels = quantised(rng.random((height, width, channels)), int(rng.choice([1, 2, 255, 65535])))
    included = rng.random((height, width)) < rng.choice([0, 0.5, 1])
    found = find_impulses(pixels, included)
    assert found.mask.shape == (height, width)
    assert not found.mask[~included].any()
    assert found.features.shape == (len(FEATURES),)
    assert np.isfinite(found.features).all()
    assert 0 <= found.salt_pepper_density <= 1
    assert 0 <= found.impulse_density <= 1
    if min(height, width) < 3:
        assert not found.mask.any()
    fixed = repair(pixels, found.mask, included)
    np.testing.assert_array_equal(fixed[~found.mask], pixels[~found.mask])
