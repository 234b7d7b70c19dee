"""TIFF: read as the standard says, or refused; the same as other readers read it."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
import tifffile
from pairs import all_pairs
from PIL import Image
from tiff_files import grey, tiff

from helicopter.errors import InvalidImageError
from helicopter.io import read_image

RNG = np.random.default_rng(11)
RGB = RNG.integers(0, 256, (21, 37, 3), dtype=np.uint8)


@pytest.fixture
def read(tmp_path):
    def reading(data):
        path = tmp_path / "a.tif"
        path.write_bytes(data)
        return read_image(path).pixels

    return reading


def refused(read, data, words):
    with pytest.raises(InvalidImageError, match=words):
        read(data)


# ---- as other readers


@all_pairs(
    compression=(None, "lzw", "zlib", "packbits", "lzma", "zstd"),
    tile=(None, (16, 32)),
    planar=("contig", "separate"),
    order=("<", ">"),
)
def test_every_way_of_storing_gives_the_same(tmp_path, compression, tile, planar, order):
    for dtype, predictor in (("uint8", 2), ("uint16", 2), ("float16", 3), ("float64", 3)):
        array = (RGB / 255 if dtype[0] == "f" else RGB).astype(dtype)
        stored = array if planar == "contig" else np.moveaxis(array, 2, 0)
        for chosen in {1, 1 if compression in (None, "packbits") else predictor}:
            tifffile.imwrite(
                tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, tile=tile,
                compression=compression, predictor=chosen if chosen > 1 else None,
                rowsperstrip=None if tile else 8, byteorder=order, bigtiff=dtype == "uint16",
                metadata=None,
            )  # fmt: skip
            pixels = read_image(tmp_path / "a.tif").pixels
            assert pixels.dtype == ("float32" if dtype == "float16" else dtype)
            np.testing.assert_array_equal(pixels, array)


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("photometric", ["ycbcr", "rgb"])
def test_jpeg_inside_is_read_as_libtiff_reads_it(tmp_path, photometric, subsampling):
    smooth = np.kron(RGB[:6, :9], np.ones((8, 8, 1), np.uint8))
    tifffile.imwrite(
        tmp_path / "a.tif", smooth, photometric="rgb", compression="jpeg", rowsperstrip=16,
        compressionargs={"outcolorspace": photometric}, metadata=None,
        subsampling=subsampling if photometric == "ycbcr" else None,
    )  # fmt: skip
    with Image.open(tmp_path / "a.tif") as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, expected)


# ---- as the standard says


@pytest.mark.parametrize("width", [1, 8, 13])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_few_bits_and_white_as_zero(read, bits, width):
    values = RNG.integers(0, 2**bits, (5, width), dtype=np.uint8)
    texts = ("".join(f"{value:0{bits}b}" for value in row) for row in values)
    rows = (text.ljust(-(-len(text) // 8) * 8, "0") for text in texts)
    data = b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    full = values * np.uint8(255 // (2**bits - 1))
    np.testing.assert_array_equal(read(grey(data, width, 5, bits=bits)), full)
    inverted = grey(data, width, 5, bits=bits, t262=[0])
    np.testing.assert_array_equal(read(inverted), 255 - full)
    with Image.open(io.BytesIO(inverted)) as image:
        np.testing.assert_array_equal(image.convert("L"), 255 - full)
    colours = RNG.integers(0, 256, (3, 2**bits)).astype(np.uint16)
    palette = grey(data, width, 5, bits=bits, t262=[3], t320=(colours * 257).ravel().tolist())
    np.testing.assert_array_equal(read(palette), colours.T[values])


def test_reversed_bits(read):
    np.testing.assert_array_equal(
        read(grey(b"\x0d", 6, 1, bits=1, t266=[2])), [[255, 0, 255, 255, 0, 0]]
    )
    refused(read, grey(b"\x0d", 1, 1, t266=[2]), "reversed bits")


def test_white_as_zero_leaves_alpha_alone(read):
    array = RNG.integers(0, 65536, (4, 3, 2)).astype("<u2")
    data = grey(array.tobytes(), 3, 4, bits=16, t258=[16, 16], t262=[0], t277=[2], t338=[2])
    pixels = read(data)
    np.testing.assert_array_equal(pixels[..., 0], 65535 - array[..., 0])
    np.testing.assert_array_equal(pixels[..., 3], array[..., 1])
    refused(read, grey(bytes(4), 1, 1, bits=32, t339=[3], t262=[0]), "zero means white")


def test_palettes_of_sixteen_bits_keep_them(read):
    colours = np.arange(768).reshape(3, 256) * 85
    palette = read(grey(bytes(range(256)), 16, 16, t262=[3], t320=colours.ravel().tolist()))
    assert palette.dtype == np.uint16
    np.testing.assert_array_equal(palette.reshape(256, 3), colours.T)
    dark = list(range(256)) * 3
    refused(read, grey(b"\7", 1, 1, t262=[3], t320=dark), "palette is almost black")
    refused(read, grey(b"\7", 1, 1, t262=[3], t320=dark[:700]), "palette has 700 of 768 values")
    refused(read, grey(b"\7", 1, 1, t262=[3]), "palette has 0 of 768")


def test_the_last_channel_must_say_that_it_is_alpha(read):
    def rgba(*extra, alpha=255):
        tags = {"t338": list(extra)} if extra else {}
        return grey(bytes([9, 8, 7, alpha]), 1, 1, t258=[8] * 4, t262=[2], t277=[4], **tags)

    assert read(rgba(2, alpha=3)).tolist() == [[[9, 8, 7, 3]]]
    assert read(rgba(1)).tolist() == [[[9, 8, 7, 255]]]
    refused(read, rgba(1, alpha=254), "multiplied by its alpha")
    for extra in ((), (0,), (9,), (2, 2)):
        refused(read, rgba(*extra), "does not say what its last channel is")


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"t258": [12]}, "pixels are uint12"),
        ({"t339": [2]}, "pixels are int8"),
        ({"t262": [8]}, "colours are CIELAB"),
        ({"t262": [32803]}, "raw mosaic"),
        ({"t259": [4]}, "compression is CCITT group 4; save it with LZW"),
        ({"t259": [777]}, "compression is of kind 777"),
        ({"t317": [2]}, "predictor 2 does not fit"),
        ({"t277": [7], "t258": [8] * 7}, "7 channels"),
        ({"t258": [8, 8, 16], "t277": [3], "t262": [2]}, "channels differ in kind"),
        ({"t32997": 5}, "stack of 5 pages"),
        ({"t270": (2, b"ImageJ=1.5\nimages=7\n")}, "stack of 7 pages"),
        ({"t270": (2, b'{"shape": [3, 2, 2]}')}, "stack of 3 pages"),
        ({"t34675": (12, bytes(8))}, "damaged.*tag 34675"),
        ({"t34675": (3, bytes(8))}, "damaged.*tag 34675"),
        ({"t256": (2, b"2")}, "damaged.*tag 256"),
        ({"t254": 1}, "nothing but a preview"),
        ({"t255": [2]}, "nothing but a preview"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused(read, tags, words):
    assert read(grey(bytes(4), 2, 2)).shape == (2, 2)
    refused(read, grey(bytes(4), 2, 2, **tags), words)


# ---- whole or not at all


def test_a_preview_that_comes_first_is_passed_by(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(RGB[::4, ::4], photometric="rgb", subfiletype=1)
        writer.write(RGB, photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, RGB)


def test_a_raw_file_does_not_give_its_thumbnail(tmp_path):
    # as in DNG and NEF: the picture is in a directory below that of the thumbnail
    for reduced in (1, 0):
        with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
            writer.write(RGB[::4, ::4], photometric="rgb", subfiletype=reduced, subifds=1)
            writer.write(RGB, photometric="rgb")
        words = "full image is not its first" if reduced else "stack of 2 pages"
        with pytest.raises(InvalidImageError, match=words):
            read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits", "lzma", "zstd", "jpeg"])
def test_a_cut_strip_is_never_filled_up(tmp_path, compression):
    path = tmp_path / "a.tif"
    # enough of one colour that the missing end could be taken for more of it
    array = np.zeros((64, 40, 3), np.uint8)
    array[:40] = np.kron(RNG.integers(0, 256, (5, 5, 3), dtype=np.uint8), np.ones((8, 8, 1)))
    tifffile.imwrite(
        path, array, photometric="rgb", compression=compression, rowsperstrip=32, metadata=None
    )
    with tifffile.TiffFile(path) as file:
        tag = file.pages.first.tags[279]
        counts, at, size = tag.value, tag.valueoffset, {3: "<2H", 4: "<2I"}[tag.dtype]
    good = path.read_bytes()
    assert read_image(path).pixels.shape == array.shape
    for strip in (0, 1):
        for share in (0.0, 0.1, 0.5, 0.7, 0.95):
            less = list(counts)
            less[strip] = int(counts[strip] * share)
            data = bytearray(good)
            struct.pack_into(size, data, at, *less)
            path.write_bytes(data)
            with pytest.raises(InvalidImageError, match="damaged or incomplete"):
                read_image(path)


def test_missing_and_overlapping_strips(read):
    data = bytes(65317 * 29)
    refused(read, grey(data, 65317, 29, t273=0, t279=0)[:282], "strips or tiles are missing")
    refused(read, grey(data, 65317, 29, t279=2**31), "outside the file")
    refused(read, grey(b"ab", 1, 2, t278=1), "it has 1 of 2 strips")
    packed = zlib.compress(bytes(64))
    twice = {"t259": [8], "t278": 1, "t273": [200, 200], "t279": [len(packed)] * 2}
    refused(read, grey(packed, 64, 2, **twice)[: 2 * len(packed)].ljust(230, b"x"), "damaged")


def test_a_strip_holds_no_more_than_told(read):
    bomb = zlib.compress(bytes(2**24))
    refused(read, grey(bomb, 4, 4, t259=[8]), "of another length than told")
    wrong = bytearray(zlib.compress(bytes(16)))
    wrong[-1] ^= 1
    refused(read, grey(bytes(wrong), 4, 4, t259=[8]), "damaged")


def test_tiles_and_directories_are_limited(read):
    many = {256: 20_000, 257: 20_000, 258: [8], 259: [1], 262: [1], 324: None, 325: 9}
    refused(read, tiff(many | {322: 1, 323: 1}, b"x" * 9), "not multiples of 16")
    refused(read, tiff(many | {322: 16, 323: 16}, b"x" * 9), "1,562,500 strips or tiles")
    refused(read, tiff(many | {256: 5, 257: 5, 322: 65536, 323: 65536}), "far smaller image")
    refused(read, grey(b"a", 1, 1)[:-1], "damaged")
    refused(read, tiff({254: 1}, following=8), "chain of pages has no end")
    chain = b"".join(
        struct.pack("<HHHIII", 1, 254, 4, 1, 1, 8 + 18 * (number + 1)) for number in range(5000)
    )
    refused(read, b"II*\0\x08\0\0\0" + chain, "too many pages")


def test_directories_below_directories_are_limited_in_all(read):
    # 1000 pages of 100 previews each, all of which are one directory of 1000 tags
    pages, inner = 1000, 8 + 1000 * 30
    data = b"II*\0\x08\0\0\0"
    for number in range(pages):
        data += struct.pack(
            "<HHHIIHHIII", 2, 254, 4, 1, 1, 330, 4, 100, inner + 12_006, 8 + 30 * (number + 1)
        )
    preview = struct.pack("<HHII", 254, 4, 1, 1) + struct.pack("<HHII", 60_000, 4, 1, 1) * 999
    data += struct.pack("<H", 1000) + preview + bytes(4) + struct.pack("<I", inner) * 100
    begin = time.process_time()
    refused(read, data, "thousands of directories")
    assert time.process_time() - begin < 5
