"""The noise engine in Rust against NumPy: each kind, every size, masks, segments, any image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noises import noisy_scenes, prepared, with_noise
from scenes import calm_scene, noisy_scene, photograph

from helicopter.backends.reference import backend as reference
from helicopter.core import NOISE_KINDS, ZengezaNoiseDetector
from helicopter.testing import assert_noise_parity, assert_parity
from helicopter.testing.strategies import DTYPES, images_with_masks, shapes

pytestmark = pytest.mark.usefixtures("both_backends")

SIZES = [(1, 1), (1, 40), (7, 8), (8, 8), (9, 61), (40, 8), (16, 17), (64, 64), (300, 200)]
STEP = 1 / 255


def backends():
    from helicopter.backends.rust import RustBackend

    return reference, RustBackend()


def everything(pixels):
    return np.ones(pixels.shape[:2], bool)


def grid(height, width, rows=3, columns=2):
    """Labels of a grid, neither from 0 nor without gaps."""
    y, x = np.arange(height) * rows // height, np.arange(width) * columns // width
    return (10 * y[:, None] + x - 7).astype(np.int32)


def some(height, width, seed=0):
    """Pixels that count: not all."""
    included = np.random.default_rng(seed).random((height, width)) > 0.02
    included[height // 4 : height // 2, width // 4 : width // 2] = False
    included[-1, -1] = True
    return included


def compare(pixels, included, quantum=STEP, segments=None):
    """Analyse on both; return what Python says of the whole."""
    python, rust = backends()
    whole, parts = python.analyze_noise(pixels, included, quantum, segments)
    other, others = rust.analyze_noise(pixels, included, quantum, segments)
    assert_noise_parity(whole, other)
    assert len(parts) == len(others)
    assert len(parts) == (0 if segments is None else len(np.unique(segments)))
    for one, another in zip(parts, others, strict=True):
        assert_noise_parity(one, another)
    level, other_level = (one.noise_level(pixels, included, quantum) for one in (python, rust))
    np.testing.assert_allclose(level[:3], other_level[:3], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(level.by_channel, other_level.by_channel, rtol=1e-3, atol=1e-6)
    return whole


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", [None, 3])
def test_every_kind_at_every_size(size, channels):
    for _, image in noisy_scenes(*size, channels):
        pixels = prepared(image)
        whole = compare(pixels, everything(pixels))
        assert whole.sigma_map.shape == size


@pytest.mark.parametrize("seed", range(24))
def test_regular_patterns(seed):
    """Symmetric ones have equal peaks, and whatever follows rounding is left to chance there."""
    rng = np.random.default_rng([7, seed])
    y, x = np.indices(rng.integers(16, 80, 2))
    down, right = rng.integers(1, 6, 2)
    if seed % 3 == 0:
        pattern = (x // right + y // down) % 2
    elif seed % 3 == 1:
        pattern = 0.5 + np.sin(2 * np.pi * x / (1 + right)) / 4 + np.cos(np.pi * y / down) / 4
    else:
        pattern = (x % (1 + right)) / (1 + right)
    levels = np.rint(pattern * rng.uniform(1, 255))
    pixels = np.stack([levels] * (1 + 2 * (seed % 2)), axis=2).astype(np.float32) / 255
    compare(pixels, everything(pixels))


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_excluded_pixels_and_segments(kind, channels):
    height, width = 90, 77
    image = with_noise(kind, calm_scene(height, width, channels), seed=3)
    included = some(height, width)
    pixels = prepared(image) * included[:, :, None]
    compare(pixels, included, segments=grid(height, width, 2, 2))


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_photographs(kind, channels):
    image = photograph(120, 150)
    image = with_noise(kind, image[:, :, 1] if channels is None else image, seed=5)
    pixels = prepared(image)
    whole = compare(pixels, everything(pixels), segments=grid(120, 150, 2, 1))
    if kind == "periodic":
        assert whole.waves
    if kind in ("salt_pepper", "impulse"):
        assert whole.impulses > 300
    if kind == "compression":
        assert whole.quality
        assert whole.grid == (0, 0)


def test_all_that_the_networks_see():
    from helicopter.backends.reference.analysis import zengeza_detector
    from helicopter.backends.rust import _noise_detector

    for channels in (None, 3):
        for _, image in noisy_scenes(70, 90, channels):
            pixels = prepared(image)
            measured = zengeza_detector._measure(pixels, everything(pixels), STEP)
            expected = [
                measured.of_blocks.values,
                measured.impulses.mask.mean(),
                [measured.of_blocks.reference_variance, measured.of_blocks.unit],
                measured.others,
                [measured.impulses.salt_pepper_density, measured.impulses.impulse_density],
            ]
            found = _noise_detector(channels or 1).measurements(pixels, everything(pixels), STEP)
            expected = np.concatenate([np.ravel(part) for part in expected])
            np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("size", [(560, 520), (760, 720)])
def test_large_images_whose_blocks_lie_further_apart(size, channels):
    # 8 pixels from row to row; in the second size from column to column too
    image = noisy_scene(*size, channels, sigma=6.0)
    pixels = prepared(image)
    compare(pixels, some(*size))


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_flat_images(value):
    for channels in (1, 3):
        pixels = np.full((45, 39, channels), value, np.float32)
        for quantum in (0.0, STEP):
            compare(pixels, everything(pixels), quantum, grid(45, 39))
        pixels[:, 20:] = 1 - value
        compare(pixels, everything(pixels), segments=grid(45, 39))


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype, channels):
    values = noisy_scene(64, 72, channels) / 255
    kind = np.dtype(dtype)
    if kind.kind == "b":
        image = values > np.random.default_rng(0).random(values.shape)
    elif kind.kind == "u":
        image = np.rint(values * np.iinfo(kind).max).astype(kind)
    else:
        image = values.astype(kind)
    assert_parity(*pair(image, segments=(2, 1)))


def test_a_chosen_range():
    image = noisy_scene(64, 72).astype(np.float64) * 3 - 100
    assert_parity(*pair(image, data_range=(-100, 665)), data_range=(-100, 665))


def pair(image, **options):
    found = [
        ZengezaNoiseDetector(use_rust_acceleration=rust, device="cpu").analyze(image, **options)
        for rust in (False, True)
    ]
    assert [one.backend for one in found] == ["python", "rust"]
    return found


@given(images_with_masks(shape=shapes(max_side=48)), st.sampled_from((None, 2, (1, 3))))
@settings(max_examples=40)
def test_any_image(both, segments):
    image, mask = both
    if segments is not None and min(image.shape[:2]) < 3:
        segments = None
    assert_parity(*pair(image, mask=mask, segments=segments))


@given(
    st.sampled_from(NOISE_KINDS),
    st.integers(8, 96),
    st.integers(8, 96),
    st.sampled_from((None, 3)),
    st.integers(0, 2**16),
    st.booleans(),
)
@settings(max_examples=40)
def test_any_noise(kind, height, width, channels, seed, masked):
    image = with_noise(kind, calm_scene(height, width, channels), seed)
    included = some(height, width, seed) if masked else np.ones((height, width), bool)
    pixels = prepared(image) * included[:, :, None]
    compare(pixels, included, segments=grid(height, width) if masked else None)
