"""What the noise detector promises of its results, whatever the estimate itself is worth."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import calm_scene, noisy_scene, photograph

import helicopter
from helicopter.backends.protocol import FineNoise, NoiseRun, Wave
from helicopter.core import NOISE_ACTIONS, NOISE_KINDS, ZengezaNoiseDetector, noise_assessment
from helicopter.core.noise_moments import (
    Moments,
    moments_of,
    moments_of_segments,
    variance_by_scale,
)
from helicopter.core.noise_results import decibels, describe_kind, noise_level_name
from helicopter.core.validation import check_segments
from helicopter.testing.strategies import images_with_masks, shapes

INTEGERS = ("int8", "uint8", "<i2", ">i4", "uint32", "int64", "uint64")


def same(one, other):
    """Whether two results are equal to the bit, but for the time they took."""
    first, second = (result.to_dict(arrays=True) for result in (one, other))
    return {**first, "seconds": 0} == {**second, "seconds": 0}


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


# ---- segments


def brute_force(labels):
    return [
        (
            int(label),
            (int(y.min()), int(x.min()), int(y.max()) + 1, int(x.max()) + 1),
            len(y),
        )
        for label in np.unique(labels)
        for y, x in [np.nonzero(labels == label)]
    ]


def facts(found):
    return [(part.label, part.bounding_box, part.area) for part in found.segments]


def test_a_grid_of_segments(detector):
    image = noisy_scene(61, 90)
    found = detector().analyze(image, segments=3)
    assert [part.label for part in found.segments] == list(range(9))
    assert facts(found)[0] == (0, (0, 0, 21, 30), 21 * 30)
    assert facts(found)[8] == (8, (41, 60, 61, 90), 20 * 30)
    assert sum(part.area for part in found.segments) == image.size
    assert len(detector().analyze(image, segments=(2, 1)).segments) == 2
    assert len(detector().analyze(image, segments=[1, np.int64(2)]).segments) == 2
    assert detector().analyze(image).segments == ()
    for part in found.segments:
        assert part.action in NOISE_ACTIONS
        assert 0 <= part.priority <= 1
        assert part.sigma == pytest.approx(10, rel=0.4)
        assert tuple(part.kind_probabilities) == NOISE_KINDS


def test_any_labels(detector):
    image = noisy_scene(140, 40)  # more rows than are looked at together
    y, x = np.mgrid[:140, :40]
    ring = ((np.hypot(y - 60, x - 15) // 22) % 3).astype(int)
    expected = detector().analyze(image, segments=ring)
    assert facts(expected) == brute_force(ring)
    far_apart = np.array([-(2**63), 0, 2**63 - 1])
    beyond = np.array([2**63, 2**63 + 5, 2**64 - 1], "u8")
    for labels in (ring * 50 - 7, far_apart[ring], beyond[ring]):
        found = detector().analyze(image, segments=labels)
        assert facts(found) == brute_force(labels)
        one, two = ([part.to_dict() for part in r.segments] for r in (expected, found))
        assert [{**part, "label": 0} for part in one] == [{**part, "label": 0} for part in two]
    for same_labels in (ring.astype(">i4"), np.asfortranarray(ring), ring.tolist()):
        assert same(expected, detector().analyze(image, segments=same_labels))


def test_segments_leave_the_whole_alone(detector):
    image = noisy_scene(64, 80)
    whole = detector().analyze(image)
    parts = detector().analyze(image, segments=2)
    assert same(whole, helicopter.core.NoiseAnalysis(**{**parts, "segments": ()}))


def test_a_segment_of_which_nothing_is_visible_is_left_out(detector):
    image = noisy_scene(64, 96)
    mask = np.zeros(image.shape, bool)
    mask[:, 32:64] = True
    mask[:40, :5] = True
    found = detector().analyze(image, mask=mask, segments=(1, 3))
    assert facts(found) == [(0, (0, 0, 64, 32), 64 * 32), (2, (0, 64, 64, 96), 64 * 32)]
    whole = detector().analyze(image, mask=mask, segments=np.full(image.shape, 9))
    assert [part.label for part in whole.segments] == [9]


@given(st.data())
def test_labels_are_numbered_in_their_order(data):
    height, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    dtype = np.dtype(data.draw(st.sampled_from(INTEGERS)))
    info = np.iinfo(dtype)
    pool = data.draw(st.lists(st.integers(int(info.min), int(info.max)), min_size=1, max_size=6))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    labels = np.array(pool, dtype)[rng.integers(0, len(pool), (height, width))]
    values, numbered = check_segments(labels, (height, width, 3))
    assert values == [int(value) for value in np.unique(labels)]
    assert numbered.dtype == np.int32
    assert numbered.flags.c_contiguous
    np.testing.assert_array_equal(np.array(values, dtype)[numbered], labels)


# ---- what is made of a backend's findings


def run(**changes):
    fields = {
        "fine": FineNoise(0.002, 0.0019, 0.0021, (0.002,)),
        "probabilities": (0.99, *[0.0] * 8),
        "coloured": 0.0,
        "scale_sigma": (0.002, 0.001, 0.0005, 0.0002),
        "gain": 0.001,
        "speckle": 0.01,
        "salt_pepper_density": 0.1,
        "impulse_density": 0.1,
        "waves": (Wave(0.0, 0.1, 0.06, 0.0), Wave(0.1, 0.0, 0.08, 0.0)),
        "quality": 40,
        "grid": (0, 0),
        "level_function": np.zeros((0, 3)),
        "sigma_map": np.zeros((0, 0), np.float32),
        "spectrum": np.zeros((0, 0), np.float32),
        "impulses": 0,
    }
    return NoiseRun(**{**fields, **changes})


def of_kinds(**chances):
    return tuple(chances.get(kind, 0.1) for kind in NOISE_KINDS)


def test_kinds_are_ranked():
    found = noise_assessment.kinds_of(run(probabilities=of_kinds(poisson=0.6, impulse=0.9)))
    assert found == ("impulse", "poisson")
    assert noise_assessment.kinds_of(run(probabilities=of_kinds(gaussian=0.49))) == ("clean",)
    assert noise_assessment.kinds_of(run(probabilities=of_kinds(clean=0.8))) == ("clean",)


@pytest.mark.parametrize(("kind", "density"), [("salt_pepper", 0.3), ("impulse", 0.2)])
def test_the_variance_of_impulses_is_that_of_the_damage(kind, density):
    rng = np.random.default_rng(0)
    clean = calm_scene(300, 300) / 255
    hit = rng.random(clean.shape) < density
    values = rng.random(clean.shape)
    damaged = np.where(hit, np.rint(values) if kind == "salt_pepper" else values, clean)
    seen = moments_of(damaged[:, :, None].astype(np.float32), np.ones(hit.shape, bool))
    changes = {f"{kind}_density": density, "fine": FineNoise(0.0, 0.0, 0.0, (0.0,))}
    variance = noise_assessment.noise_variance(run(**changes), (kind,), seen)
    assert variance == pytest.approx(np.mean((damaged - clean) ** 2), rel=0.03)


def test_the_variance_of_waves_is_half_their_squares():
    seen = Moments(0.5, 0.3, 0.05)
    found = noise_assessment.noise_variance(run(), ("periodic",), seen)
    assert found == pytest.approx(0.002**2 + (0.06**2 + 0.08**2) / 2)
    assert noise_assessment.noise_variance(run(), ("clean",), seen) == pytest.approx(0.002**2)
    periodic = noise_assessment.parameters_of(run(), 255.0)["periodic"]
    assert periodic["amplitude"] == pytest.approx(25.5)
    assert [wave["period"] for wave in periodic["components"]] == pytest.approx([10, 10])


@pytest.mark.parametrize(
    ("kinds", "sigma", "content", "noise", "changes", "action"),
    [
        (("clean",), 0.002, 0.01, 4e-6, {}, "keep"),
        (("gaussian",), 0.009, 0.01, 8e-5, {}, "keep"),
        (("gaussian",), 0.02, 0.01, 4e-4, {}, "denoise"),
        (("clean",), 0.02, 0.01, 4e-4, {}, "denoise"),
        (("gaussian", "salt_pepper"), 0.05, 0.01, 0.01, {}, "median_filter"),
        (("impulse", "periodic"), 0.05, 0.01, 0.01, {}, "median_filter"),
        (("periodic", "gaussian"), 0.05, 0.01, 0.01, {}, "notch_filter"),
        (("compression", "gaussian"), 0.02, 0.01, 4e-4, {}, "deblock"),
        (("compression",), 0.002, 0.01, 4e-6, {"quality": 90}, "keep"),
        (("gaussian",), 0.25, 0.001, 0.0625, {}, "discard"),
        (("gaussian", "salt_pepper"), 0.25, -0.02, 0.1, {}, "discard"),
        (("gaussian",), 0.25, 0.03, 0.0625, {}, "denoise"),
        (("salt_pepper",), 0.05, -0.01, 0.09, {}, "median_filter"),
    ],
)
def test_what_is_recommended(kinds, sigma, content, noise, changes, action):
    found = run(fine=FineNoise(sigma, sigma, sigma, (sigma,)), **changes)
    assert noise_assessment.action_for(found, kinds, content, noise) == action


def test_priority_is_the_share_of_content():
    assert noise_assessment.priority_of(0.0, 0.01) == 0
    assert noise_assessment.priority_of(-0.1, 0.01) == 0
    assert noise_assessment.priority_of(0.04, 0.0099) == pytest.approx(0.8)
    clean = [noise_assessment.priority_of(content, 0.0) for content in (1e-6, 1e-4, 1e-2)]
    assert clean == pytest.approx([0.0099, 0.5, 0.990], abs=1e-3)


def test_the_law_is_fitted_to_the_level_function():
    x = np.linspace(0.05, 0.95, 12)
    weight = np.full(12, 1 / 12)
    law = noise_assessment.level_function_of(
        np.stack([x, 0.002 * x + 0.0004, weight], 1), 100.0, 50.0
    )
    assert law.a == pytest.approx(0.002 * 50)
    assert law.b == pytest.approx(0.0004 * 50**2)
    np.testing.assert_allclose(law.intensity, 100 + 50 * x)
    np.testing.assert_allclose(law.at(law.intensity), law.sigma)
    assert law.at(100.0) == law.at(60.0) == pytest.approx(50 * 0.02)
    # neither falls below zero, and points without evidence count for nothing
    falling = noise_assessment.level_function_of(np.stack([x, 0.01 - 0.004 * x, weight], 1), 0, 1)
    assert falling.a == 0
    assert falling.b == pytest.approx(0.008, rel=0.02)
    steep = noise_assessment.level_function_of(np.stack([x, 0.01 * x**2, weight], 1), 0, 1)
    assert steep.b == 0
    assert steep.a > 0
    odd = np.stack([x, 0.002 * x + 0.0004, weight], 1)
    odd[3, 1:] = 5.0, 0.0
    assert noise_assessment.level_function_of(odd, 0, 1).a == pytest.approx(0.002)
    empty = noise_assessment.level_function_of(np.zeros((0, 3)), 0, 1)
    assert (empty.a, empty.b, empty.intensity.size) == (0, 0, 0)
    single = noise_assessment.level_function_of(np.array([[0.4, 0.01, 1.0]]), 0, 1)
    assert (single.a, single.b) == (0, pytest.approx(0.01))


# ---- moments


@pytest.mark.parametrize("shape", [(1, 1, 1), (31, 57, 3), (530, 41, 1), (515, 9, 3)])
@pytest.mark.parametrize("hidden", [False, True])
def test_moments_are_those_of_numpy(shape, hidden):
    rng = np.random.default_rng(2)
    image = (rng.random(shape) * 0.5 + 0.3).astype(np.float32)
    included = rng.random(shape[:2]) < 0.9 if hidden else np.ones(shape[:2], bool)
    included[0, 0] = True
    image[~included] = 0
    seen, by_scale = variance_by_scale(image, included, 4)
    values = image[included].astype(np.float64)
    assert seen.mean == pytest.approx(values.mean())
    assert seen.square == pytest.approx((values**2).mean())
    assert seen.variance == pytest.approx(values.var(axis=0).mean(), abs=1e-7)
    assert seen == moments_of(image, included)
    for step, variance in enumerate(by_scale):
        side = 2**step
        rows, cols = shape[0] // side, shape[1] // side
        cut = np.s_[: rows * side, : cols * side]
        parts = image[cut].astype(np.float64).reshape(rows, side, cols, side, shape[2])
        blocks = parts.mean(axis=(1, 3))
        whole = included[cut].reshape(rows, side, cols, side).all(axis=(1, 3))
        if whole.any():
            assert variance == pytest.approx(blocks[whole].var(axis=0).mean(), rel=1e-3, abs=1e-7)
        else:
            assert math.isnan(variance)


def test_moments_of_segments_are_those_of_numpy():
    rng = np.random.default_rng(3)
    image = rng.random((300, 20, 3), dtype=np.float32)
    labels = rng.integers(0, 5, (300, 20)).astype(np.int32)
    included = rng.random((300, 20)) < 0.8
    for number, seen in enumerate(moments_of_segments(image, included, labels, 5)):
        values = image[included & (labels == number)].astype(np.float64)
        expected = (values.mean(), (values**2).mean(), values.var(axis=0).mean())
        assert tuple(seen) == pytest.approx(expected)


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
