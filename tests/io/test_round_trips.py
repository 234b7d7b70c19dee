"""What is written comes back: formats, dtypes, shapes, colour profiles."""

import io
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from helicopter.errors import InvalidImageError, InvalidOptionError
from helicopter.io import read_image, sample_image, sample_path, write_image

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(shape, dtype, seed=0):
    """Every value of the dtype's range can occur, the low byte included."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return (rng.random(shape) * 3 - 1).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


LOSSLESS = [
    (suffix, dtype, shape)
    for suffix, dtypes in (
        (".png", ("uint8", "uint16")),
        (".tif", ("uint8", "uint16", "float32", "float64")),
        (".tiff", ("uint16",)),
        (".webp", ("uint8",)),
    )
    for dtype in dtypes
    for shape in ((7, 5), (7, 5, 3), (7, 5, 4))
    if not (suffix == ".webp" and len(shape) == 2)
]


@pytest.mark.parametrize(("suffix", "dtype", "shape"), LOSSLESS)
def test_lossless_formats_keep_every_value(tmp_path, suffix, dtype, shape):
    array = noise(shape, dtype)
    write_image(tmp_path / f"image{suffix}", array)
    pixels = read_image(tmp_path / f"image{suffix}").pixels
    assert pixels.dtype == array.dtype
    np.testing.assert_array_equal(pixels, array)


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        (".png", "uint8"),
        (".png", "uint16"),
        (".tif", "uint8"),
        (".tif", "uint16"),
        (".webp", "uint8"),
        (".jpg", "uint8"),
    ],
)
def test_the_colour_profile_comes_back(tmp_path, suffix, dtype):
    write_image(tmp_path / f"a{suffix}", noise((9, 8, 3), dtype), icc_profile=PROFILE)
    loaded = read_image(tmp_path / f"a{suffix}")
    assert loaded.icc_profile == PROFILE
    write_image(tmp_path / f"b{suffix}", noise((9, 8, 3), dtype))
    assert read_image(tmp_path / f"b{suffix}").icc_profile is None


def test_jpeg_is_close(tmp_path):
    array = sample_image()
    write_image(tmp_path / "a.jpg", array)
    loaded = read_image(tmp_path / "a.jpg")
    assert loaded.format == "JPEG"
    assert loaded.pixels.dtype == np.uint8
    error = np.abs(loaded.pixels.astype(int) - array)
    assert 0 < error.mean() < 2


def test_webp_stores_grey_as_rgb(tmp_path):
    array = noise((6, 9), "uint8")
    write_image(tmp_path / "a.webp", array)
    pixels = read_image(tmp_path / "a.webp").pixels
    np.testing.assert_array_equal(pixels, np.repeat(array[..., None], 3, axis=2))


def test_colours_under_transparent_pixels_survive_webp(tmp_path):
    array = noise((16, 16, 4), "uint8")
    array[..., 3] = 0
    write_image(tmp_path / "a.webp", array)
    np.testing.assert_array_equal(read_image(tmp_path / "a.webp").pixels, array)


def test_odd_arrays_are_written_as_what_they_are(tmp_path):
    base = noise((8, 12, 3), "uint16")
    for array in (base[::2, ::-1], base.astype(">u2"), base[..., :1]):
        write_image(tmp_path / "a.png", array)
        expected = array[..., 0] if array.shape[2] == 1 else array
        np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, expected)


def test_bool_is_written_black_and_white(tmp_path):
    array = noise((8, 8), "uint8") > 99
    write_image(tmp_path / "a.png", array)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, array * np.uint8(255))


@pytest.mark.parametrize(
    ("name", "array", "text"),
    [
        ("a.jpg", np.zeros((4, 4), np.uint16), r"JPEG does not hold uint16; use \.png or \.tif"),
        ("a.webp", np.zeros((4, 4, 3), np.uint16), r"WebP does not hold uint16"),
        ("a.jpg", np.zeros((4, 4, 4), np.uint8), r"JPEG has no alpha channel; use \.png"),
        ("a.png", np.zeros((4, 4), np.float32), r"PNG does not hold float32; use \.tif"),
        ("a.bmp", np.zeros((4, 4), np.uint8), r"suffix names no known format"),
        ("a", np.zeros((4, 4), np.uint8), r"suffix names no known format"),
        ("a.webp", np.zeros((1, 16_384), np.uint8), r"more than WebP holds \(16383 a side\)"),
        ("no/a.png", np.zeros((4, 4), np.uint8), r"folder .* does not exist"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_first(tmp_path, name, array, text):
    with pytest.raises(InvalidOptionError, match=text):
        write_image(tmp_path / name, array)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.int32),
        np.zeros((4, 4), complex),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4,), np.uint8),
        np.zeros((0, 4), np.uint8),
        [[1, 2]],
    ],
)
def test_what_is_no_image_is_refused(tmp_path, array):
    with pytest.raises(InvalidImageError, match="array"):
        write_image(tmp_path / "a.tif", array)
    assert list(tmp_path.iterdir()) == []


def test_palette_grey_alpha_and_one_bit_are_converted(tmp_path):
    colours = noise((6, 6, 3), "uint8")
    colours[...] = colours[0, 0]
    palette = Image.fromarray(colours).convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_image(tmp_path / "p.png").pixels, palette.convert("RGB"))

    grey_alpha = Image.fromarray(noise((6, 6, 2), "uint8"))
    grey_alpha.save(tmp_path / "la.png")
    np.testing.assert_array_equal(
        read_image(tmp_path / "la.png").pixels, grey_alpha.convert("RGBA")
    )

    one_bit = Image.fromarray(noise((6, 6), "uint8")).convert("1")
    for name in ("b.png", "b.tif"):
        one_bit.save(tmp_path / name)
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels, one_bit.convert("L"))


def test_a_transparent_colour_becomes_alpha(tmp_path):
    image = Image.fromarray(np.array([[[1, 2, 3], [9, 9, 9]]], np.uint8))
    image.save(tmp_path / "t.png", transparency=(1, 2, 3))
    assert read_image(tmp_path / "t.png").pixels[0, :, 3].tolist() == [0, 255]


def test_tiff_variants_are_read_as_what_they_mean(tmp_path):
    array = noise((9, 7, 3), "uint16")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.moveaxis(array, 2, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(path).pixels, array)
    tifffile.imwrite(path, array, photometric="rgb", byteorder=">", compression="lzw")
    pixels = read_image(path).pixels
    np.testing.assert_array_equal(pixels, array)
    grey = noise((9, 7), "uint8")
    tifffile.imwrite(path, 255 - grey, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(path).pixels, grey)
    half = noise((9, 7), "float16")
    tifffile.imwrite(path, half)
    assert read_image(path).pixels.dtype == np.float32
    np.testing.assert_array_equal(read_image(path).pixels, half)
    palette = Image.fromarray(noise((6, 6, 3), "uint8")).convert("P")
    palette.save(path)
    np.testing.assert_array_equal(read_image(path).pixels, palette.convert("RGB"))


def test_the_content_decides_not_the_suffix(tmp_path):
    array = noise((5, 5, 3), "uint8")
    write_image(tmp_path / "a.png", array)
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    loaded = read_image(tmp_path / "a.jpg")
    assert loaded.format == "PNG"
    np.testing.assert_array_equal(loaded.pixels, array)


def test_the_sample_photograph_is_there():
    image = sample_image()
    assert image.shape == (400, 600, 3)
    assert image.dtype == np.uint8
    assert image.std() > 20
    assert "CC0" in (sample_path().parent / "README.md").read_text(encoding="utf-8")


def test_a_file_with_odd_metadata_prints_nothing(tmp_path):
    write_image(tmp_path / "a.png", noise((5, 5, 3), "uint16"), icc_profile=b"no profile" * 40)
    code = "import sys; from helicopter.io import read_image; read_image(sys.argv[1])"
    # a process of its own: pytest's log handlers would swallow what Python prints without any
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.png")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (result.stdout, result.stderr) == ("", "")


def test_what_is_no_path_is_refused():
    with pytest.raises(InvalidOptionError, match="path must be a str or a Path, got BytesIO"):
        read_image(io.BytesIO(b""))
