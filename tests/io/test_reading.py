"""What cannot or must not be read, orientations, and masks."""

import os
import struct
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from helicopter.errors import InvalidImageError, InvalidMaskError, InvalidOptionError
from helicopter.io import DEFAULT_MAX_PIXELS, read_image, read_mask, write_image

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (6, 10, 3), dtype=np.uint8)
SUFFIX = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "WEBP": ".webp"}


# ---- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_all_eight_orientations_are_undone(tmp_path, kind, orientation):
    path = tmp_path / f"a{SUFFIX[kind]}"
    image = Image.fromarray(RGB)
    exif = image.getexif()
    exif[0x0112] = orientation
    extra = {"lossless": True} if kind == "WEBP" else {}
    image.save(path, kind, exif=exif, **extra)
    with Image.open(path) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    pixels = read_image(path).pixels
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.shape == ((6, 10, 3) if orientation < 5 else (10, 6, 3))
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_jpeg_stands_upright(tmp_path, orientation):
    path = tmp_path / "a.jpg"
    image = Image.fromarray(np.kron(RGB, np.ones((16, 16, 1), np.uint8)))
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)
    with Image.open(path) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    np.testing.assert_array_equal(read_image(path).pixels, expected)


def test_sixteen_bit_tiff_and_png_are_turned_too(tmp_path):
    array = RGB.astype(np.uint16) * 257 - np.uint16(3) * (RGB > 0)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, np.rot90(array, -1))

    write_image(tmp_path / "a.png", array)
    exif = Image.Exif()
    exif[0x0112] = 8
    body = exif.tobytes()[6:]  # without "Exif\0\0"
    chunk = b"eXIf" + body
    data = (tmp_path / "a.png").read_bytes()
    packed = struct.pack(">I", len(body)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(data[:33] + packed + data[33:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, np.rot90(array, 1))


# ---- bombs


def png_header(width, height):
    body = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + body
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    head = struct.pack(">I", len(body)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + head + end


def test_a_bomb_is_refused_from_its_header_alone(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(100_000, 100_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InvalidImageError) as caught:
            read_image(path)
    text = str(caught.value)
    for part in ("bomb.png", "100000 x 100000", "10,000,000,000", "512,000,000", "--max-pixels"):
        assert part in text


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_the_limit_holds_for_every_format(tmp_path, kind):
    path = tmp_path / f"a{SUFFIX[kind]}"
    write_image(path, np.zeros((20, 30, 3), np.uint8))
    assert read_image(path, max_pixels=600).pixels.shape == (20, 30, 3)
    with pytest.raises(
        InvalidImageError, match=r"30 x 20 = 600 pixels, more than the limit of 599"
    ):
        read_image(path, max_pixels=599)


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("alpha", [True, False])
def test_the_size_of_every_kind_of_webp_is_known_before_it_is_opened(
    tmp_path, monkeypatch, lossless, alpha
):
    path = tmp_path / "a.webp"
    shape = (40, 30, 4) if alpha else (40, 30, 3)
    Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8)).save(path, lossless=lossless)

    def opened(*_):
        raise AssertionError("the canvas was allocated")

    monkeypatch.setattr("imagecodecs.webp_decode", opened)
    with pytest.raises(InvalidImageError, match="30 x 40 = 1,200 pixels"):
        read_image(path, max_pixels=100)


def test_a_hundred_megapixels_are_within_the_default():
    assert DEFAULT_MAX_PIXELS >= 4 * 100_000_000


def test_pillows_own_limit_does_not_matter(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    write_image(tmp_path / "a.png", RGB)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, RGB)


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "9", None])
def test_a_nonsensical_limit_is_refused(tmp_path, limit):
    with pytest.raises(InvalidOptionError, match="max_pixels must be a positive integer"):
        read_image(tmp_path / "a.png", max_pixels=limit)


# ---- what is no image


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("PNG", np.uint8),
        ("PNG", np.uint16),
        ("TIFF", np.uint8),
        ("TIFF", np.uint16),
        ("JPEG", np.uint8),
        ("WEBP", np.uint8),
    ],
)
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path, kind, share, dtype, capfd):
    path = tmp_path / f"a{SUFFIX[kind]}"
    write_image(path, RNG.integers(0, 256, (64, 64, 3)).astype(dtype) * 3)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InvalidImageError, match=rf"a{SUFFIX[kind]}.*damaged or incomplete"):
            read_image(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_flipped_bytes_never_raise_anything_else(tmp_path, kind, capfd):
    path = tmp_path / f"a{SUFFIX[kind]}"
    write_image(path, RGB)
    good = path.read_bytes()
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(150):
        data = bytearray(good)
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            read_image(path, max_pixels=10_000_000)
        except InvalidImageError:
            refused += 1
    assert refused > 0
    assert capfd.readouterr() == ("", "")


def test_missing_empty_and_foreign_files_are_named(tmp_path, monkeypatch):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello, I am a letter and not a picture", encoding="utf-8")
    Image.fromarray(RGB).save(tmp_path / "a.bmp")
    for name, text in (
        ("gone.png", "no such file; check the path"),
        ("empty.png", "the file is empty"),
        ("text.png", "not a PNG, JPEG, TIFF or WebP file; convert it"),
        ("a.bmp", "not a PNG, JPEG, TIFF or WebP file; convert it"),
        ("", "it is a folder"),
        ("nul\0.png", "null"),
        ("x" * 5000, "too long"),
    ):
        with pytest.raises(InvalidImageError, match=text) as caught:
            read_image(tmp_path / name if "\0" not in name else str(tmp_path / name))
        assert "cannot read" in str(caught.value)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidImageError, match="not a regular file"):
        read_image(tmp_path / "pipe")

    def forbidden(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", forbidden)
    with pytest.raises(InvalidImageError, match=r"text\.png.*permission denied; check who may"):
        read_image(tmp_path / "text.png")


def test_animations_and_stacks_are_refused(tmp_path):
    frames = [Image.fromarray(np.full((8, 8, 3), v, np.uint8)) for v in (0, 90, 200)]
    for name in ("a.png", "a.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(InvalidImageError, match="animation of 3 frames; save the one you mean"):
            read_image(tmp_path / name)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    with pytest.raises(InvalidImageError, match="stack of 3 pages"):
        read_image(tmp_path / "a.tif")


def test_a_preview_does_not_make_a_stack(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(RGB, photometric="rgb")
        writer.write(RGB[::2, ::2], photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, RGB)


@pytest.mark.parametrize(("name", "mode"), [("a.jpg", "CMYK"), ("a.tif", "CMYK")])
def test_cmyk_is_refused_rather_than_guessed(tmp_path, name, mode):
    Image.new(mode, (8, 8)).save(tmp_path / name)
    with pytest.raises(InvalidImageError, match="convert it to RGB"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint32", "complex64"])
def test_other_dtypes_are_refused(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), dtype))
    with pytest.raises(InvalidImageError, match=f"pixels are {dtype}; save them as"):
        read_image(tmp_path / "a.tif")


# ---- masks


def test_a_mask_is_true_where_not_black(tmp_path):
    truth = RNG.random((9, 7)) < 0.4
    for name, array in (
        ("a.png", truth * np.uint8(255)),
        ("b.png", truth * np.uint8(1)),
        ("c.png", truth * np.uint16(300)),
        ("d.tif", truth * np.float32(0.5)),
        ("e.png", np.repeat(truth[..., None] * np.uint8(255), 3, axis=2)),
        ("f.png", np.dstack([truth * np.uint8(200)] * 3 + [np.full(truth.shape, 255, np.uint8)])),
        ("g.webp", truth * np.uint8(255)),
    ):
        write_image(tmp_path / name, array)
        mask = read_mask(tmp_path / name)
        assert mask.dtype == np.bool_
        np.testing.assert_array_equal(mask, truth, err_msg=name)
    Image.fromarray(truth).save(tmp_path / "h.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "h.png"), truth)


def test_ambiguous_masks_are_refused(tmp_path):
    alpha = np.full((8, 8, 4), 255, np.uint8)
    alpha[0, 0, 3] = 0
    ringing = np.zeros((32, 32), np.uint8)
    ringing[9:20, 11:25] = 255
    for name, array, text in (
        ("a.png", alpha, "partly transparent"),
        ("b.png", np.dstack([alpha[..., 0], alpha[..., 0], 0 * alpha[..., 0]]), "has colours"),
        ("c.jpg", ringing, "JPEG compression has blurred it.*save the mask as PNG"),
        ("d.tif", np.full((8, 8), np.nan, np.float32), "NaN"),
    ):
        write_image(tmp_path / name, array)
        with pytest.raises(InvalidMaskError, match=text):
            read_mask(tmp_path / name)
    with pytest.raises(InvalidMaskError, match="no such file"):
        read_mask(tmp_path / "gone.png")


def test_a_clean_jpeg_mask_is_fine(tmp_path):
    write_image(tmp_path / "a.jpg", np.full((16, 16), 255, np.uint8))
    assert read_mask(tmp_path / "a.jpg").all()
