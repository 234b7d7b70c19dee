"""Exemplar fill in Rust against NumPy: the same bits, wherever there is something to copy from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import holes, photograph, scene

from helicopter.backends.loader import accelerator
from helicopter.backends.reference.algorithms import exemplar
from helicopter.backends.reference.algorithms.exemplar import RADII, _has_sources
from helicopter.backends.reference.algorithms.exemplar.frame import Frame
from helicopter.testing.strategies import images_with_masks, shapes
from helicopter.testing.tiers import PREDICTION

pytestmark = pytest.mark.usefixtures("both_backends")


def compare(image, mask, seed=0):
    """Fill in both ways; say whether patches were copied."""
    python, rust = (np.array(image, dtype=np.float32, order="C") for _ in range(2))
    exemplar.fill(python, mask, seed=seed)
    accelerator().exemplar_fill(rust, mask, seed=seed, threads=2)
    copied = any(_has_sources(Frame.of_image(python, mask), radius) for radius in RADII)
    apart = 0.0 if copied else PREDICTION["harmonic"]
    np.testing.assert_allclose(rust, python, rtol=0, atol=apart)
    return copied


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [4, 8, 16, 24])
def test_blocks(channels, side):
    image = photograph(120, 136)[:, :, :channels] / 255
    blocks = np.random.default_rng(side).random((120 // side + 1, 136 // side + 1)) < 0.25
    mask = np.kron(blocks, np.ones((side, side), dtype=bool))[:120, :136]
    assert compare(image, np.ascontiguousarray(mask), seed=side)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.12, 0.2, 0.5, 0.9])
def test_strewn_pixels(share):
    mask = np.random.default_rng(1).random((80, 70)) < share
    assert compare(photograph(80, 70) / 255, mask) == (share < 0.3)


def test_a_large_hole_and_borders():
    image = photograph(160, 150) / 255
    mask = np.zeros((160, 150), dtype=bool)
    mask[40:110, 50:120] = True
    mask[:, :7] = mask[-5:] = True
    assert compare(image, mask, seed=2**64 - 1)
    assert compare(scene(), holes())


@given(
    images_with_masks(shape=shapes(max_side=48, channels=(1, 3)), dtypes=["<f4"]),
    st.integers(0, 2**64 - 1),
)
@settings(max_examples=80)
def test_any_image(both, seed):
    compare(*both, seed)
