"""Exemplar fill: what it promises, on both backends."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scenes import holes, photograph, scene

from helicopter.backends.loader import accelerator
from helicopter.backends.reference.algorithms import exemplar, pde
from helicopter.testing.strategies import images_with_masks, shapes


@pytest.fixture(scope="session")
def fill(backend):
    """Fill a copy of an image, and return it."""

    def run(image, mask, *, seed=0, progress=None, **options):
        image = np.array(image, dtype=np.float32, order="C")
        if backend == "rust":
            accelerator().exemplar_fill(image, mask, seed=seed, progress=progress, **options)
        else:
            exemplar.fill(image, mask, seed=seed, progress=progress)
        return image

    return run


def textured(channels=3):
    return np.ascontiguousarray(photograph(72, 80)[:, :, :channels], dtype=np.float32) / 255


def block(height=72, width=80):
    mask = np.zeros((height, width), dtype=bool)
    mask[24:44, 30:54] = True
    mask[:9, :14] = True
    return mask


def harmonic(image, mask):
    image = image.copy()
    pde.solve(image, mask, "harmonic")
    return image


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("anything", [np.nan, np.inf, -1e30, 0.7])
def test_hidden_pixels_are_never_read(fill, channels, anything):
    image, mask = textured(channels), block()
    expected = fill(image, mask)
    image[mask] = anything
    np.testing.assert_array_equal(fill(image, mask), expected)


@given(images_with_masks(shape=shapes(max_side=24, channels=(1, 3)), dtypes=["<f4"]))
@settings(max_examples=25)
def test_any_image(fill, both):
    image, mask = both
    result = fill(image, mask)
    np.testing.assert_array_equal(result[~mask], image[~mask])
    assert np.isfinite(result).all()
    assert result.min() >= image[~mask].min() - 1e-6
    assert result.max() <= image[~mask].max() + 1e-6


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32))
def test_from_a_single_pixel_follows_its_colour(fill, height, width, place):
    assume(height * width > 1)
    mask = np.ones(height * width, dtype=bool)
    mask[place % mask.size] = False
    colour = np.array([0.25, 0.5, 0.75], dtype=np.float32)
    result = fill(np.broadcast_to(colour, (height, width, 3)), mask.reshape(height, width))
    np.testing.assert_allclose(result, np.broadcast_to(colour, result.shape), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1), (2, 33), (5, 5), (7, 7), (8, 64)])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.98, 1.0])
def test_odd_shapes(fill, shape, kept):
    image = scene(*shape)
    mask = np.random.default_rng(0).random(shape) >= kept
    mask[0, 0] = False
    result = fill(image, mask)
    np.testing.assert_array_equal(result[~mask], image[~mask])
    assert np.isfinite(result).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_given_stands_elsewhere_in_the_image(fill, channels):
    image, mask = textured(channels), block()
    known = {tuple(colour) for colour in image[~mask]}
    assert {tuple(colour) for colour in fill(image, mask)[mask]} <= known


def test_a_seed_decides(fill):
    image, mask = textured(), block()
    once = fill(image, mask, seed=2**64 - 1)
    np.testing.assert_array_equal(once, fill(image, mask, seed=2**64 - 1))
    assert (once != fill(image, mask, seed=1)).any()


def test_the_number_of_threads_does_not_matter(fill, backend):
    if backend == "python":
        pytest.skip("NumPy's part has no threads to count")
    image = np.tile(textured(), (3, 2, 1))
    mask = np.kron(np.random.default_rng(1).random((27, 20)) < 0.3, np.ones((8, 8), dtype=bool))
    one = fill(image, mask, threads=1)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(fill(image, mask, threads=threads), one)


Y, X = np.mgrid[:72, :80]
PATTERNS = {
    "checkers": (X // 4 + Y // 4) % 2,
    "stripes": X % 8 < 4,
    "slanted stripes": (X + Y) % 10 < 5,
    "bricks": ((X + 6 * (Y // 6 % 2)) % 12 < 2) | (Y % 6 < 1),
    "waves": 0.5 + 0.5 * np.sin(2 * np.pi * X / 9) * np.sin(2 * np.pi * Y / 12),
}


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("colours", [(1.0,), (1.0, 0.5, 0.2)])
def test_a_pattern_goes_on(fill, name, colours):
    image = (0.1 + 0.8 * PATTERNS[name][:, :, None] * np.array(colours)).astype(np.float32)
    mask = block()
    mask[:9, :14] = False
    error = np.sqrt(np.square(fill(image, mask) - image)[mask].mean())
    blurred = np.sqrt(np.square(harmonic(image, mask) - image)[mask].mean())
    assert error < 0.25 * blurred
    assert error < 0.06


def test_too_little_to_copy_from_gives_the_harmonic_solution(fill):
    image = textured()
    mask = np.random.default_rng(3).random(image.shape[:2]) < 0.6
    np.testing.assert_allclose(fill(image, mask), harmonic(image, mask), atol=1e-6)


@pytest.mark.parametrize("share", [0.02, 0.08, 0.15])
def test_strewn_pixels_are_filled_from_smaller_patches(fill, share):
    image = textured()
    mask = np.random.default_rng(3).random(image.shape[:2]) < share
    result = fill(image, mask)
    assert (np.abs(result - harmonic(image, mask))[mask] > 1e-4).any()
    assert np.abs(result - image)[mask].mean() < 0.1


def test_progress_is_told_and_can_stop_the_work(fill):
    image, mask = textured(), block()
    heard = []
    fill(image, mask, progress=lambda *news: heard.append(news))
    assert heard == sorted(heard)
    assert heard[-1][0] == heard[-1][1]

    def enough(done, total):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        fill(image, mask, progress=enough)


def test_nothing_hidden_is_nothing_to_do(fill):
    image = scene()
    np.testing.assert_array_equal(fill(image, np.zeros(image.shape[:2], dtype=bool)), image)


def test_holes_of_all_kinds(fill):
    image, mask = scene(), holes()
    result = fill(image, mask)
    np.testing.assert_array_equal(result[~mask], image[~mask])
    assert np.square(result - image)[mask].mean() < 0.01
