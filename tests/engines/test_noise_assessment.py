"""What is made of a backend's findings, and of the image's own moments."""

import math

import numpy as np
import pytest
from scenes import calm_scene

from helicopter.backends.protocol import FineNoise, NoiseRun, Wave
from helicopter.core import NOISE_KINDS
from helicopter.core.noise import _assessment as noise_assessment
from helicopter.core.noise._assessment import (
    Moments,
    moments_of,
    moments_of_segments,
    variance_by_scale,
)


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
