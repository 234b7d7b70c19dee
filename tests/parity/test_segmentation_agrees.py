"""Segmentation in Rust against NumPy: the same labels, whatever the image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import photograph

import helicopter
from helicopter.core.segments._partition import PRESETS
from helicopter.testing.strategies import images, shapes

pytestmark = pytest.mark.usefixtures("both_backends")


def on_both(image, count, preset, **options):
    python, rust = (
        helicopter.segment(image, count, preset=preset, use_rust_acceleration=rust, **options)
        for rust in (False, True)
    )
    np.testing.assert_array_equal(python, rust)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("count", [2, 17, 250, 2000])
def test_a_photograph(preset, count):
    on_both(photograph(270, 331, 30, 60), count, preset)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", ["flat", "noise", "binary", "ramp", "stripes"])
def test_images_full_of_equal_costs(preset, kind):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:90, :70]
    image = {
        "flat": np.full((90, 70, 3), 128),
        "noise": rng.integers(0, 256, (90, 70, 3)),
        "binary": rng.integers(0, 2, (90, 70, 1)) * 255,
        "ramp": (x + y)[:, :, None] * np.ones(3),
        "stripes": (y // 3 % 2 * 255)[:, :, None],
    }[kind].astype(np.uint8)
    for count in (2, 9, 100, 1500):
        on_both(image, count, preset)


@settings(max_examples=60)
@given(
    image=images(shape=shapes(max_side=70)),
    share=st.floats(0, 1),
    preset=st.sampled_from(sorted(PRESETS)),
)
def test_any_image(image, share, preset):
    pixels = image.shape[0] * image.shape[1]
    on_both(image, 1 + round(share**3 * (pixels - 1)), preset)
