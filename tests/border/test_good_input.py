"""Every kind of good input: accepted, never modified, and given back in its own dtype and shape."""

import io

import numpy as np
import pytest
from hypothesis import given
from PIL import Image
from scenes import EQUATIONS, holes, in_dtype, scene

from helicopter.testing.strategies import DTYPES, LAYOUTS, images_with_masks

MASK = holes()


class OnlyArray:
    """What an array of another library offers at least."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array if dtype is None else self._array.astype(dtype)


class OnlyDLPack:
    """A tensor on the CPU."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


def with_transparent(mask, image):
    """What is hidden: pixels whose alpha is 0 are too, unless that were all."""
    if image.ndim == 2 or image.shape[2] != 4:
        return mask
    unseen = mask | (image[..., 3] == 0)
    return mask if unseen.all() else unseen


def check(result, image, mask):
    """Whatever is promised of every reconstruction."""
    mask = with_transparent(mask, image)
    filled = result.reconstruction
    assert filled.dtype == image.dtype
    assert filled.shape == image.shape
    np.testing.assert_array_equal(filled[~mask], image[~mask])
    if image.dtype.kind == "f":
        assert filled[mask].min(initial=0) >= 0
        assert filled[mask].max(initial=1) <= 1
    for name in ("uncertainty_map", "confidence_map"):
        assert result[name].dtype == np.float32
        assert result[name].shape == mask.shape
    assert (result.uncertainty_map[~mask] == 0).all()
    assert (result.confidence_map[~mask] == 1).all()
    assert (result.uncertainty_map[mask] > 0).all()
    assert ((result.confidence_map[mask] > 0) & (result.confidence_map[mask] <= 1)).all()


@given(images_with_masks())
def test_every_image_and_mask(regional, both):
    image, mask = both
    before = image.copy()
    check(regional().reconstruct(image, mask), image, mask)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("algorithm", EQUATIONS)
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_and_shape_is_predicted_alike(regional, dtype, channels, algorithm):
    image = scene(channels=channels, dtype=dtype)
    result = regional(algorithm).reconstruct(image, MASK)
    check(result, image, MASK)
    if image.dtype.kind == "b":
        return
    units = np.iinfo(dtype).max if image.dtype.kind == "u" else 1.0
    exact = scene(channels=channels, dtype="float64")
    expected = regional(algorithm).reconstruct(exact, MASK)
    colour = np.s_[..., :3] if channels == 4 else np.s_[...]
    assert not with_transparent(np.zeros_like(MASK), exact).any()
    # eight bits round what is visible, and the plate magnifies it
    apart = (2.5 if algorithm == "biharmonic" else 1.01) / 255 if dtype == "uint8" else 5e-5
    np.testing.assert_allclose(
        result.reconstruction[MASK][colour] / units,
        expected.reconstruction[MASK][colour],
        atol=apart,
    )
    np.testing.assert_allclose(
        result.uncertainty_map / units, expected.uncertainty_map, rtol=0.03, atol=1e-6
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "float64"])
def test_the_layout_in_memory_does_not_matter(autonomous, regional, layout, dtype):
    from helicopter.testing.strategies import _laid_out

    image = scene(dtype=dtype)
    laid_out = _laid_out(image, layout)
    mask = _laid_out(MASK, layout)
    expected = regional().reconstruct(image, MASK)
    result = regional().reconstruct(laid_out, mask)
    np.testing.assert_array_equal(result.reconstruction, expected.reconstruction)
    np.testing.assert_array_equal(result.uncertainty_map, expected.uncertainty_map)
    whole = autonomous(patch_size=8).autonomous_analyze(laid_out, mask=mask)
    assert whole.history[0].patches
    same = autonomous(patch_size=8).autonomous_analyze(image, mask=MASK)
    np.testing.assert_array_equal(whole.reconstruction, same.reconstruction)


WRAPPINGS = {
    "list": lambda image: image.tolist(),
    "__array__": OnlyArray,
    "DLPack": OnlyDLPack,
    "memoryview": memoryview,
    "matrix of objects that are arrays": lambda image: [OnlyArray(row) for row in image],
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_anything_like_an_array(autonomous, regional, wrapping):
    image = scene(dtype="float64")
    given = WRAPPINGS[wrapping](image)
    expected = regional().reconstruct(image, MASK).reconstruction
    np.testing.assert_array_equal(regional().reconstruct(given, MASK).reconstruction, expected)
    mask = OnlyDLPack(MASK) if wrapping == "DLPack" else OnlyArray(MASK)
    np.testing.assert_array_equal(regional().reconstruct(image, mask).reconstruction, expected)
    result = autonomous(patch_size=8).autonomous_analyze(given)
    assert result.reconstruction.dtype == np.float64


@pytest.mark.parametrize(
    ("mode", "dtype"),
    [
        ("L", "uint8"),
        ("RGB", "uint8"),
        ("RGBA", "uint8"),
        ("1", "bool"),
        ("I;16", "<u2"),
        ("I;16B", ">u2"),
        ("F", "<f4"),
    ],
)
def test_pictures_of_pillow(regional, mode, dtype):
    image = scene(channels={"RGB": 3, "RGBA": 4}.get(mode), dtype=dtype)
    if mode == "1":
        picture = Image.fromarray(image)
    else:
        picture = Image.frombytes(mode, (56, 48), image.tobytes())
    result = regional().reconstruct(picture, Image.fromarray(MASK))
    expected = regional().reconstruct(image, MASK)
    assert result.reconstruction.dtype == expected.reconstruction.dtype
    np.testing.assert_array_equal(result.reconstruction, expected.reconstruction)


def test_a_picture_that_is_not_loaded_yet(regional):
    file = io.BytesIO()
    Image.fromarray(scene(dtype="uint8")).save(file, "PNG")
    with Image.open(file) as picture:
        result = regional().reconstruct(picture, MASK)
    check(result, scene(dtype="uint8"), MASK)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_alpha_is_carried_through_and_never_looked_at(autonomous, regional, dtype):
    image = scene(channels=4, dtype=dtype)
    other = image.copy()
    other[..., 3] = in_dtype(np.random.default_rng(9).uniform(0.1, 1, MASK.shape), dtype)
    one, two = (regional().reconstruct(one, MASK).reconstruction for one in (image, other))
    np.testing.assert_array_equal(one[..., :3], two[..., :3])
    np.testing.assert_array_equal(one[..., 3], image[..., 3])
    np.testing.assert_array_equal(two[..., 3], other[..., 3])
    one, two = (autonomous(patch_size=8).autonomous_analyze(one) for one in (image, other))
    assert one.history[-1].patches == two.history[-1].patches
    np.testing.assert_array_equal(one.reconstruction[..., :3], two.reconstruction[..., :3])
    np.testing.assert_array_equal(two.reconstruction[..., 3], other[..., 3])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308, -7.0])
@pytest.mark.parametrize("data_range", [None, (0.0, 2.0)])
def test_anything_may_stand_where_nothing_is_looked_at(autonomous, regional, value, data_range):
    image = scene(dtype="float64")
    expected = regional().reconstruct(image, MASK, data_range=data_range)
    image[MASK] = value
    image[0, 0, 0] = np.frombuffer(b"\x01\x00\x00\x00\x00\x00\xf4\x7f", "<f8")[0]  # signalling NaN
    assert MASK[0, 0]
    result = regional().reconstruct(image, MASK, data_range=data_range)
    np.testing.assert_array_equal(result.reconstruction, expected.reconstruction)
    whole = autonomous(patch_size=8).autonomous_analyze(image, mask=MASK, data_range=data_range)
    assert np.isfinite(whole.reconstruction).all()


@pytest.mark.parametrize(("low", "high"), [(0.0, 4095.0), (-1.0, 1.0), (100.0, 101.0), (0, 0.1)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_range_of_floats(autonomous, regional, low, high, dtype):
    image = scene(dtype="float64")
    given = (low + image * (high - low)).astype(dtype)
    given[0, -1] = dtype_of(dtype, low)
    given[-1, -1] = dtype_of(dtype, high)
    assert not MASK[0, -1]
    assert not MASK[-1, -1]
    image = (given.astype("float64") - low) / (high - low)
    expected = regional().reconstruct(np.clip(image, 0, 1), MASK)
    result = regional().reconstruct(given, MASK, data_range=(low, high))
    assert result.reconstruction.dtype == given.dtype
    np.testing.assert_array_equal(result.reconstruction[~MASK], given[~MASK])
    span = high - low
    assert result.reconstruction[MASK].min() >= low
    assert result.reconstruction[MASK].max() <= high
    rounding = 2 * np.finfo(dtype).eps * max(abs(low), abs(high))
    np.testing.assert_allclose(
        result.reconstruction, low + span * expected.reconstruction, atol=2e-6 * span + rounding
    )
    np.testing.assert_allclose(result.uncertainty_map, span * expected.uncertainty_map, rtol=1e-3)
    np.testing.assert_allclose(result.confidence_map, expected.confidence_map, atol=1e-3)
    # what came out can go in again
    regional().reconstruct(result.reconstruction, MASK, data_range=(low, high))
    analysis = autonomous(patch_size=8).autonomous_analyze(given, data_range=(low, high))
    error = np.abs(analysis.reconstruction.astype(float) - given).mean(axis=2)
    np.testing.assert_allclose(analysis.error_map, error, atol=1e-4 * span + rounding)
    assert analysis.mae == pytest.approx(analysis.error_map[analysis.hidden_mask].mean(), rel=1e-4)


def dtype_of(dtype, value):
    return np.dtype(dtype).type(value)


def test_twelve_bits_in_sixteen(autonomous, regional):
    image = scene(dtype="float64")
    twelve = np.rint(image * 4095).astype("uint16")
    engine = regional("harmonic")
    result = engine.reconstruct(twelve, MASK, data_range=(0, 4095))
    expected = engine.reconstruct(twelve / 4095, MASK)
    assert result.reconstruction.dtype == np.uint16
    assert result.reconstruction.max() <= 4095
    # a mean of four levels often lies halfway between two, where the last bit decides
    levels = np.rint(expected.reconstruction * 4095)
    difference = np.abs(result.reconstruction - levels)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01
    np.testing.assert_allclose(result.uncertainty_map, 4095 * expected.uncertainty_map, rtol=1e-3)
    # without the range the image is a dark one, with the same patches but another confidence
    dark, bright = (
        autonomous(patch_size=8, algorithm="harmonic").autonomous_analyze(
            twelve, data_range=data_range
        )
        for data_range in (None, (0, 4095))
    )
    assert dark.psnr_db > bright.psnr_db + 20
    np.testing.assert_allclose(dark.mae, bright.mae, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_range_wider_than_the_dtype_does_not_wrap_around(regional, kernel, dtype):
    image = scene(dtype=dtype)
    most = np.iinfo(dtype).max
    kernel("white", lambda context, mask: np.ones_like(context))
    kernel("black", lambda context, mask: np.zeros_like(context))
    for name, value in (("white", most), ("black", 0)):
        result = regional(name).reconstruct(image, MASK, data_range=(-10, 2 * most))
        assert (result.reconstruction[MASK] == value).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_given_is_ever_modified(autonomous, regional, dtype):
    image, mask = scene(dtype=dtype), MASK.copy()
    copies = image.copy(), mask.copy()
    regional().reconstruct(image, mask)
    regional().test_understanding(image, ["checkerboard"], [0.5])
    autonomous(patch_size=8).autonomous_analyze(image, mask=mask)
    autonomous(patch_size=8).autonomous_analyze(image, open_book=True)
    np.testing.assert_array_equal(image, copies[0])
    np.testing.assert_array_equal(mask, copies[1])


@pytest.mark.parametrize("hidden", [False, True])
def test_results_share_no_memory_with_what_was_given(autonomous, regional, hidden):
    image = scene()
    mask = MASK if hidden else np.zeros_like(MASK)
    for result in (
        regional().reconstruct(image, mask),
        autonomous(patch_size=8).autonomous_analyze(image, mask=mask),
    ):
        for value in result.values():
            if isinstance(value, np.ndarray):
                assert not np.shares_memory(value, image)
                assert not np.shares_memory(value, mask)


def test_nothing_hidden_gives_the_image_back(regional):
    image = scene(dtype="uint16")
    result = regional().reconstruct(image, np.zeros_like(MASK))
    np.testing.assert_array_equal(result.reconstruction, image)
    assert (result.uncertainty_map == 0).all()
    assert (result.confidence_map == 1).all()


@pytest.mark.parametrize("dtype", ["int64", "uint8"])
def test_numbers_of_numpy_are_options(autonomous, regional, dtype):
    def number(value):
        return np.dtype(dtype).type(value)

    image = scene()
    given = autonomous(
        patch_size=number(8), context_size=number(24), seed=number(3)
    ).autonomous_analyze(
        image,
        max_iterations=number(5),
        target_quality=np.float32(1),
        initial_known=np.float64(0.3),
        open_book=np.bool_(True),
    )
    plain = autonomous(patch_size=8, context_size=24, seed=3).autonomous_analyze(
        image, max_iterations=5, target_quality=1, initial_known=0.3, open_book=True
    )
    assert given.history[-1].patches == plain.history[-1].patches
    np.testing.assert_array_equal(given.reconstruction, plain.reconstruction)
    regional(seed=number(1)).test_understanding(
        image, np.array(["checkerboard"]).tolist(), np.array([0.5]), patch_size=number(8)
    )


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32"])
def test_integers_without_a_range_of_their_own_have_that_of_what_is_visible(regional, dtype):
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -(2**28)) // 2, limits.max // 3
    image = (low + scene(channels=None, dtype="float64") * (high - low)).astype(dtype)
    junk = image.copy()
    junk[MASK] = limits.max
    result = regional("harmonic").reconstruct(junk, MASK)
    seen = image[~MASK].astype(float)
    assert result.data_range == (seen.min(), seen.max())
    floats = (image - seen.min()) / np.ptp(seen)
    expected = regional("harmonic").reconstruct(np.clip(floats, 0, 1), MASK)
    np.testing.assert_array_equal(result.reconstruction[~MASK], image[~MASK])
    apart = (
        result.reconstruction.astype(float)
        - seen.min()
        - np.ptp(seen) * expected["reconstruction"].astype(float)
    )
    assert np.abs(apart).max() <= 0.5 + 1e-6 * np.ptp(seen)


def gaps_in(image, kind):
    """The same image with gaps where MASK is true, and no word about them elsewhere."""
    if kind == "masked":
        return np.ma.array(image, mask=np.repeat(MASK[..., None], 3, axis=2))
    if kind == "transparent":
        alpha = np.where(MASK, 0.0, 0.5)[..., None]
        return np.concatenate([np.where(MASK[..., None], 0.9, image), alpha], axis=2)
    given = image.copy()
    given[MASK] = {"NaN": np.nan, "infinity": -np.inf}[kind]
    given[MASK, 1:] = 0.25  # one channel is enough
    return given


@pytest.mark.parametrize("kind", ["NaN", "infinity", "masked", "transparent"])
def test_gaps_are_hidden_without_being_asked(
    autonomous, regional, detector, anomaly_detector, kind
):
    image = scene(dtype="float64")
    given = gaps_in(image, kind)
    expected = regional().reconstruct(image, MASK)
    for mask in (None, np.zeros_like(MASK), MASK):
        result = regional().reconstruct(given, mask)
        np.testing.assert_array_equal(result.reconstruction[..., :3], expected.reconstruction)
        np.testing.assert_array_equal(result.uncertainty_map, expected.uncertainty_map)
    for make, call, name in (
        (lambda: autonomous(patch_size=8), "autonomous_analyze", "error_map"),
        (detector, "analyze", "sigma_map"),
        (lambda: anomaly_detector("harmonic"), "find", "anomaly_map"),
    ):
        hidden, gaps = (
            getattr(make(), call)(one, mask=mask)[name]
            for one, mask in ((image, MASK), (given, None))
        )
        np.testing.assert_array_equal(hidden, gaps)


@pytest.mark.parametrize("kind", ["NaN", "transparent"])
def test_gaps_may_be_neither_filled_nor_used(regional, kind):
    image = scene(dtype="float64")
    given = gaps_in(image, kind)
    asked = np.roll(MASK, 3, axis=1) & ~MASK
    result = regional().reconstruct(given, asked, fill="mask")
    expected = regional().reconstruct(image, asked | MASK)
    filled = result.reconstruction[..., :3]
    np.testing.assert_array_equal(filled[asked], expected.reconstruction[asked])
    np.testing.assert_array_equal(filled[~asked], given[~asked][:, :3])
    assert np.isnan(result.uncertainty_map[MASK]).all()
    assert np.isnan(result.confidence_map[MASK]).all()
    for known in ("uncertainty_map", "confidence_map"):
        np.testing.assert_array_equal(result[known][~MASK], expected[known][~MASK])


@pytest.mark.parametrize("values", [(0, 1), (0, 255)])
@pytest.mark.parametrize("dtype", ["uint8", "int64", ">i2"])
def test_masks_of_integers(regional, values, dtype):
    mask = np.where(MASK, *values[::-1]).astype(dtype)
    expected = regional().reconstruct(scene(), MASK).reconstruction
    np.testing.assert_array_equal(regional().reconstruct(scene(), mask).reconstruction, expected)


def test_what_needs_every_pixel_says_so(regional):
    image = scene()
    image[3, 4, 0] = np.nan
    for call in (regional().cross_reconstruct, regional().test_understanding):
        with pytest.raises(ValueError, match="1 visible values are NaN or infinite"):
            call(image)
        with pytest.raises(ValueError, match="2688 pixels are masked"):
            call(np.ma.array(scene(), mask=True))
