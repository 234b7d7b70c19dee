"""What the noise detector promises of its results, whatever the estimate itself is worth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from noises import same
from scenes import calm_scene, noisy_scene, photograph

import helicopter
from helicopter.core import NOISE_KINDS, ZengezaNoiseDetector
from helicopter.core.results._noise import decibels, describe_kind, noise_level_name
from helicopter.testing.strategies import images_with_masks, shapes

# ---- what is measured


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("sigma", [5.0, 10.0, 20.0])
def test_gaussian_noise_is_measured(detector, channels, sigma):
    image = noisy_scene(channels=channels, sigma=sigma)
    found = detector().analyze(image)
    assert found.sigma == pytest.approx(sigma, rel=0.05)
    assert found.sigma_interval[0] <= found.sigma <= found.sigma_interval[1]
    assert found.sigma_interval[1] - found.sigma_interval[0] < sigma
    assert len(found.sigma_per_channel) == (channels or 1)
    for one in found.sigma_per_channel:
        assert one == pytest.approx(sigma, rel=0.1)
    assert found.kinds == ("gaussian",)
    assert found.parameters["gaussian"]["sigma"] == found.sigma == found.total_sigma
    content = calm_scene(channels=channels).reshape(192 * 192, -1).var(axis=0).mean()
    assert found.snr_db == pytest.approx(10 * math.log10(content / sigma**2), abs=1)
    assert found.noise_colour == "white"
    quick = detector().level(image)
    assert quick.sigma == pytest.approx(sigma, rel=0.06)
    assert quick.level == found.level
    assert quick.snr_db == pytest.approx(found.snr_db, abs=1)


def test_salt_and_pepper_is_found(detector):
    image = np.rint(calm_scene()).astype(np.uint8)
    rng = np.random.default_rng(1)
    hit = rng.random(image.shape) < 0.05
    image[hit] = np.where(rng.random(hit.sum()) < 0.5, 0, 255)
    found = detector().analyze(image)
    assert found.kind == "salt_pepper"
    assert found.parameters["salt_pepper"]["density"] == pytest.approx(hit.mean(), rel=0.1)
    error = (image.astype(float) - np.rint(calm_scene()))[None].std()
    assert found.total_sigma == pytest.approx(error, rel=0.15)
    assert found.sigma < 3
    assert found.level == "high"


def test_interference_is_found(detector):
    y, x = np.mgrid[:192, :192]
    wave = 12 * np.sin(2 * np.pi * (0.09 * y + 0.17 * x))
    image = np.rint(np.clip(noisy_scene(sigma=3.0) + wave, 0, 255)).astype(np.uint8)
    found = detector().analyze(image)
    assert "periodic" in found.kinds
    (strongest, *_) = found.parameters["periodic"]["components"]
    row, column = strongest["frequency"]
    assert (abs(row), abs(column)) == (
        pytest.approx(0.09, abs=0.004),
        pytest.approx(0.17, abs=0.004),
    )
    assert strongest["period"] == pytest.approx(1 / math.hypot(row, column))
    assert strongest["amplitude"] == pytest.approx(12, rel=0.1)
    assert found.total_sigma > found.sigma


def test_a_calm_scene_is_hardly_noisy(detector):
    found = detector().analyze(np.rint(calm_scene()).astype(np.uint8))
    assert found.sigma < 1
    assert found.level == "minimal"


def test_noise_that_differs_from_place_to_place_is_mapped(detector):
    quiet, loud = noisy_scene(sigma=2.0), noisy_scene(sigma=16.0)
    image = np.where(np.arange(192) < 96, quiet, loud)
    found = detector().analyze(image, segments=(1, 2))
    assert np.median(found.sigma_map[:, :64]) == pytest.approx(2, rel=0.35)
    assert np.median(found.sigma_map[:, 128:]) == pytest.approx(16, rel=0.35)
    left, right = found.segments
    assert left.sigma == pytest.approx(2, rel=0.25)
    assert right.sigma == pytest.approx(16, rel=0.15)
    assert left.priority > right.priority
    assert left.action == "keep"
    assert right.action == "denoise"


# ---- units


@pytest.mark.parametrize(
    ("convert", "options", "unit"),
    [
        (lambda x: (x.astype(np.uint16) * 257).astype("<u2"), {}, 257),
        (lambda x: (x.astype(np.uint16) * 257).astype(">u2"), {}, 257),
        (lambda x: x.astype(np.uint16) * np.uint16(16), {"data_range": (0, 4080)}, 16),
        (lambda x: x / 255.0, {}, 1 / 255),
        (lambda x: (x / 255.0).astype("f4"), {}, 1 / 255),
        (lambda x: x * 4.0 - 1000.0, {"data_range": (-1000, 20)}, 4),
    ],
    ids=["uint16", "big endian", "12 of 16 bits", "float64", "float32", "a range"],
)
def test_results_are_in_the_images_units(detector, convert, options, unit):
    image = noisy_scene()
    plain = detector().analyze(image)
    other = detector().analyze(convert(image), **options)
    assert other.sigma == pytest.approx(unit * plain.sigma, rel=0.03)
    assert other.total_sigma == pytest.approx(unit * plain.total_sigma, rel=0.03)
    assert other.sigma_interval == pytest.approx([unit * s for s in plain.sigma_interval], rel=0.1)
    np.testing.assert_allclose(other.sigma_map.mean(), unit * plain.sigma_map.mean(), rtol=0.05)
    assert other.level == plain.level
    assert other.snr_db == pytest.approx(plain.snr_db, abs=0.3)
    low, high = other.data_range
    intensity = other.noise_level_function.intensity
    assert ((intensity >= low) & (intensity <= high)).all()
    assert other.noise_level_function.black == low
    for one, two in zip(plain.scales, other.scales, strict=True):
        assert two.sigma == pytest.approx(unit * one.sigma, rel=0.05)
        assert two.power == two.sigma**2
    quick = detector().level(convert(image), **options)
    assert quick.sigma == pytest.approx(unit * plain.sigma, rel=0.06)


@pytest.mark.parametrize(
    ("share", "name"),
    [
        (0.0, "minimal"), (np.nextafter(0.01, 0), "minimal"), (0.01, "low"),
        (np.nextafter(0.03, 0), "low"), (0.03, "moderate"), (0.08, "high"), (0.2, "severe"),
        (0.7, "severe"),
    ],
)  # fmt: skip
def test_the_levels_of_noise(share, name):
    assert noise_level_name(share) == name


# ---- shapes and kinds of what is returned


def check(found, image, left_out):
    height, width = image.shape[:2]
    assert found.sigma_map.shape == (height, width)
    assert found.sigma_map.dtype == np.float32
    assert np.isnan(found.sigma_map[left_out]).all()
    assert (found.sigma_map[~left_out] >= 0).all()
    assert found.spectrum.dtype == np.float32
    assert found.spectrum.ndim == 2
    assert found.spectrum.shape[0] == found.spectrum.shape[1]
    assert np.isfinite(found.spectrum).all()
    assert 0 <= found.sigma_interval[0] <= found.sigma <= found.sigma_interval[1] < math.inf
    assert found.total_sigma >= found.sigma
    assert tuple(found.kind_probabilities) == NOISE_KINDS
    assert all(0 <= chance <= 1 for chance in found.kind_probabilities.values())
    assert found.kind == found.kinds[0]
    assert set(found.kinds) <= set(NOISE_KINDS)
    assert tuple(found.parameters) == NOISE_KINDS
    for kind in NOISE_KINDS:
        assert describe_kind(kind, found.parameters)
    assert [scale.scale for scale in found.scales] == [1, 2, 4, 8]
    function = found.noise_level_function
    assert function.intensity.dtype == function.sigma.dtype == function.weight.dtype == np.float64
    assert function.intensity.shape == function.sigma.shape == function.weight.shape
    assert function.a >= 0
    assert function.b >= 0
    assert found.dtype == image.dtype.name
    assert found.seconds > 0


@given(images_with_masks(shape=shapes(max_side=40)))
@settings(max_examples=15)
def test_every_image_and_mask(detector, both):
    image, mask = both
    before = image.copy(), mask.copy()
    found = detector().analyze(image, mask=mask, segments=1)
    left_out = mask
    if image.ndim == 3 and image.shape[2] == 4:
        unseen = mask | (image[:, :, 3] == 0)
        left_out = mask if unseen.all() else unseen
    check(found, image, left_out)
    assert len(found.segments) == 1
    assert detector().level(image, mask=mask).sigma >= 0
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (7, 3), (8, 8), (16, 5, 3), (64, 64)])
@pytest.mark.parametrize("kind", ["noise", "flat", "black"])
def test_small_images_are_no_failure(detector, shape, kind):
    rng = np.random.default_rng(0)
    image = {
        "noise": rng.integers(0, 256, shape), "flat": np.full(shape, 77), "black": np.zeros(shape),
    }[kind].astype(np.uint8)  # fmt: skip
    found = detector().analyze(image, segments=1)
    check(found, image, np.zeros(shape[:2], bool))
    if kind != "noise":
        assert found.sigma < 2
    assert detector().level(image).sigma >= 0
    if kind == "noise":
        found.plot()


def test_without_noise_the_ratio_is_infinite():
    assert decibels(0.2, 0.0) == math.inf
    assert decibels(-0.1, 0.2) == -math.inf
    assert decibels(0.02, 0.2) == pytest.approx(-10)
    assert math.isnan(decibels(math.nan, 0.1))


def test_results_share_no_memory_with_what_was_given(detector):
    image = noisy_scene(64, 64).astype(np.float32) / 255
    found = detector().analyze(image)
    for value in found.values():
        if isinstance(value, np.ndarray):
            assert not np.shares_memory(value, image)


# ---- what is left out


@pytest.mark.parametrize("value", [np.nan, -7.0, 1e300])
def test_hidden_pixels_have_no_influence(detector, value):
    image = noisy_scene(96, 112, 3) / 255.0
    mask = np.zeros((96, 112), bool)
    mask[20:50, 30:80] = True
    mask[np.random.default_rng(5).random(mask.shape) < 0.02] = True
    labels = np.arange(96)[:, None] // 48 + np.zeros((96, 112), int)
    expected = detector().analyze(image, mask=mask, segments=labels)
    level = detector().level(image, mask=mask)
    changed = image.copy()
    changed[mask] = value
    assert same(expected, detector().analyze(changed, mask=mask, segments=labels))
    assert same(level, detector().level(changed, mask=mask))
    check(expected, image, mask)


def test_hidden_noise_is_not_measured(detector):
    image = noisy_scene(sigma=4.0)
    image[:, 96:] = noisy_scene(sigma=40.0)[:, 96:]
    mask = np.zeros(image.shape, bool)
    mask[:, 90:] = True
    assert detector().analyze(image, mask=mask).sigma == pytest.approx(4, rel=0.15)
    assert detector().level(image, mask=mask).sigma == pytest.approx(4, rel=0.15)


def test_transparent_pixels_are_left_out(detector):
    colour = noisy_scene(96, 96, 3)
    away = np.zeros((96, 96), bool)
    away[:40, 30:] = True
    alpha = np.where(away, 0, np.random.default_rng(0).integers(1, 256, away.shape))
    image = np.dstack([colour, alpha.astype(np.uint8)])
    expected = detector().analyze(colour, mask=away)
    assert same(expected, detector().analyze(image))
    image[away, :3] = 255
    assert same(expected, detector().analyze(image))
    assert same(detector().level(colour, mask=away), detector().level(image))
    # with a mask both are left out
    mask = np.zeros((96, 96), bool)
    mask[90:] = True
    both = detector().analyze(colour, mask=mask | away)
    assert same(both, detector().analyze(image, mask=mask))
    # an alpha channel that hides everything says nothing
    image = np.dstack([colour, np.zeros((96, 96), np.uint8)])
    assert same(detector().analyze(colour), detector().analyze(image))


def test_transparent_pixels_of_floats_may_hold_anything(detector):
    colour = noisy_scene(64, 64, 3) / 255.0
    away = np.zeros((64, 64), bool)
    away[5:30, 9:60] = True
    image = np.dstack([colour, np.where(away, 0.0, 1.0)])
    image[away, :3] = np.nan
    assert same(detector().analyze(colour, mask=away), detector().analyze(image))


# ---- the short forms, and the whole analysis


def test_the_short_forms_are_the_engine(backend, detector):
    image = noisy_scene(64, 80, 3)
    mask = np.zeros((64, 80), bool)
    mask[:9] = True
    rust = backend == "rust"
    options = {"mask": mask, "data_range": (0, 260)}
    found = helicopter.estimate_noise(image, segments=2, use_rust_acceleration=rust, **options)
    assert same(found, detector().analyze(image, segments=2, **options))
    quick = helicopter.estimate_sigma(image, use_rust_acceleration=rust, **options)
    assert same(quick, detector().level(image, **options))
    assert (found.backend, found.device, quick.backend) == (backend, "cpu", backend)


def test_the_whole_analysis_has_the_noise(backend, detector):
    image = photograph()
    mask = np.zeros(image.shape[:2], bool)
    mask[40:60, 50:90] = True
    analysis = helicopter.analyze(
        image, patch_size=16, algorithm="harmonic", mask=mask, data_range=(0, 256),
        use_rust_acceleration=backend == "rust",
    )  # fmt: skip
    assert same(analysis.noise, detector().analyze(image, mask=mask, data_range=(0, 256)))
    assert analysis.seconds >= analysis.autonomous.seconds + analysis.noise.seconds


def test_runs_are_the_same_for_any_number_of_threads(detector):
    image = noisy_scene(150, 120)
    before = helicopter.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            helicopter.set_num_threads(threads)
            found.append(detector().analyze(image, segments=2))
    finally:
        helicopter.set_num_threads(before)
    assert same(*found)


def test_an_engine_says_where_it_runs(detector, backend):
    assert isinstance(detector(), ZengezaNoiseDetector)
    assert detector().backend == backend
    assert detector("cpu").device == "cpu"
