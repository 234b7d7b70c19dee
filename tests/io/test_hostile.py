"""Files made to do harm: little memory, little time, no other file, nothing half read."""

import functools
import hashlib
import io
import os
import signal
import struct
import threading
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from tiff_files import grey
from watched_reading import watched

from helicopter.errors import InvalidImageError, InvalidMaskError, InvalidOptionError
from helicopter.io import read_image, read_mask, write_image

RNG = np.random.default_rng(5)
RGB = np.kron(RNG.integers(0, 256, (9, 11, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(name, body=b""):
    checksum = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)


def png(width, height, *chunks, bits=8, colour=0, interlaced=0):
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    return SIGNATURE + b"".join((chunk(b"IHDR", header), *chunks, chunk(b"IEND")))


def data(lines):
    return chunk(b"IDAT", zlib.compress(lines))


def jpeg(array=RGB, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.fixture
def read(tmp_path):
    def reading(content, reader=read_image, **options):
        path = tmp_path / "a.bin"
        path.write_bytes(content)
        return reader(path, **options)

    return reading


def refused(read, content, words="damaged or incomplete"):
    with pytest.raises(InvalidImageError, match=words):
        read(content)


# ---- memory and time


def repeated_scans():
    whole = jpeg(progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * 20_000 + whole[-2:]


@functools.cache
def packed_zeros():
    """Return 128 MiB in 600 KB."""
    return zlib.compress(bytes(2**27), 1)


def large(content, marker, at, code, width, height):
    start = content.index(marker) + at
    sides = struct.pack(code, width, height)
    return content[:start] + sides + content[start + len(sides) :]


def webp_of_one_colour():
    """A canvas of 16383 x 16383 in 38 bytes, each pixel of which takes no bit at all."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 4), np.uint8)).save(buffer, "WEBP", lossless=True)
    whole = bytearray(buffer.getvalue())
    at = whole.index(b"VP8L") + 9
    bits = int.from_bytes(whole[at : at + 4], "little") & ~0xFFFFFFF
    whole[at : at + 4] = (bits | 16382 | 16382 << 14).to_bytes(4, "little")
    return bytes(whole)


BOMBS = {
    "no data for 400 megapixels": lambda: png(20_000, 20_000, data(b"\0")),
    "data without end": lambda: png(1, 1, chunk(b"IDAT", packed_zeros())),
    "a profile without end": lambda: png(
        1, 1, chunk(b"iCCP", b"a\0\0" + packed_zeros()), data(b"\0\0")
    ),
    "100,000 chunks": lambda: png(1, 1, *[chunk(b"IDAT")] * 100_000, data(b"\0\0")),
    "a JPEG without data": lambda: large(jpeg(), b"\xff\xc0", 5, ">HH", 22_000, 22_000),
    "20,000 scans": repeated_scans,
    "3 million restarts": lambda: jpeg().replace(
        b"\xff\xd9", b"\xff\xd0" * 3_000_000 + b"\xff\xd9"
    ),
    "a WebP of one colour": webp_of_one_colour,
    "a strip without end": lambda: grey(packed_zeros(), 4, 4, t259=[8]),
    "a dictionary of 4 GiB": lambda: grey(
        b"\x5d\xff\xff\xff\xff" + b"\xff" * 8 + bytes(99), 4, 4, t259=[34925]
    ),
    "a TIFF of one byte": lambda: grey(zlib.compress(b"a"), 20_000, 20_000, t259=[8]),
    "JPEG in TIFF larger than told": lambda: grey(
        large(jpeg(RGB[..., 0]), b"\xff\xc0", 5, ">HH", 20_000, 20_000), 88, 72, t259=[7]
    ),
    "WebP in TIFF larger than told": lambda: grey(
        webp_of_one_colour(), 16, 16, t258=[8] * 4, t259=[50001], t262=[2], t277=[4], t338=[2]
    ),
}


@pytest.mark.skipif(os.name != "posix", reason="needs fork and limits")
def test_bombs_do_not_go_off(tmp_path):
    made = [make() for make in BOMBS.values()]
    found = list(watched(0, len(made), made.__getitem__, tmp_path, most=200 * 2**20))
    assert dict(zip(BOMBS, [result for result, _ in found], strict=True)) == dict.fromkeys(
        BOMBS, "refused"
    )


def test_texts_are_not_even_unpacked(read):
    text = chunk(b"zTXt", b"a\0\0" + packed_zeros())
    assert read(png(1, 1, text, data(b"\0\7"))).pixels.tolist() == [[7]]


def test_the_limit_counts_what_is_decoded(read):
    for content in (
        png(30, 20, chunk(b"PLTE", bytes(6)), data(bytes(100)), bits=1, colour=3),
        jpeg(np.zeros((20, 30, 3), np.uint8), progressive=True),
        grey(bytes(80), 30, 20, bits=1),
    ):
        assert read(content, max_pixels=600).pixels.shape[:2] == (20, 30)
        with pytest.raises(InvalidImageError, match="more than the limit of 599"):
            read(content, max_pixels=599)


# ---- the named file and no other


@pytest.fixture
def alarm():
    """Nothing that hangs hangs for ever."""

    def ring(*_):
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_metadata_name_no_other_file(tmp_path, alarm):
    os.mkfifo(tmp_path / "pipe.ome.tif")
    schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    planes = "".join(
        f'<TiffData IFD="0" FirstZ="{z}" PlaneCount="1"><UUID FileName="{name}">{uuid}</UUID>'
        "</TiffData>"
        for z, (name, uuid) in enumerate((("a.ome.tif", "urn:0"), ("pipe.ome.tif", "urn:1")))
    )
    text = (
        f'<?xml version="1.0"?><OME xmlns="{schema}" UUID="urn:0"><Image ID="Image:0"><Pixels '
        'ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="4" SizeY="4" SizeC="1" SizeZ="2" '
        f'SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
    )
    path = tmp_path / "a.ome.tif"
    array = np.arange(16, dtype=np.uint8).reshape(4, 4)
    tifffile.imwrite(path, array, description=text, metadata=None, photometric="minisblack")
    np.testing.assert_array_equal(read_image(path).pixels, array)


def test_a_pipe_that_takes_the_name_is_not_waited_for(tmp_path, monkeypatch, alarm):
    os.mkfifo(tmp_path / "a.png")
    write_image(tmp_path / "b.png", RGB)
    before = (tmp_path / "b.png").stat()
    monkeypatch.setattr(Path, "stat", lambda *_, **__: before)
    with pytest.raises(InvalidImageError, match="not a regular file"):
        read_image(tmp_path / "a.png")


# ---- whole or not at all


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"subsampling": 0, "restart_marker_blocks": 3},
        {"restart_marker_rows": 1},
        {"optimize": True, "quality": 30},
    ],
    ids=str,
)
def test_a_cut_jpeg_is_refused_wherever_it_ends(read, options):
    flat = RGB.copy()
    flat[40:] = 128  # the grey that decoders fill with
    whole = jpeg(flat, **options)
    start = whole.index(b"\xff\xda") + 14
    with Image.open(io.BytesIO(whole)) as image:
        np.testing.assert_array_equal(read(whole).pixels, image)
    for end in {int(start + (len(whole) - start) * share / 40) for share in range(39)}:
        refused(read, whole[:end])
        refused(read, whole[:end] + b"\xff\xd9")
    # what follows the end is somebody else's
    read(whole + b"a film" * 99)


def test_jpeg_scans_all_come_once(read):
    whole = jpeg(progressive=True)
    starts = [at for at in range(len(whole)) if whole[at : at + 2] == b"\xff\xda"]
    refused(read, whole[: starts[-1]] + b"\xff\xd9", "scans are missing")
    refused(read, whole[:-2] + whole[starts[-1] :], "scans do not fit")
    for marker, words in ((b"\xff\xc9", "arithmetic"), (b"\xff\xc3", "lossless")):
        refused(read, jpeg().replace(b"\xff\xc0", marker, 1), words)


def test_a_png_with_a_wrong_checksum_is_refused(read):
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "PNG")
    whole = buffer.getvalue()
    for at in (whole.index(b"IDAT") + 200, whole.index(b"IHDR") + 9, len(whole) - 1):
        refused(read, whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], "checksum")
    refused(read, png(4, 4, data(bytes(19))), "cut off")
    refused(read, png(4, 4, data(bytes(21))), "more data")
    refused(read, png(4, 4, chunk(b"IDAT", zlib.compress(bytes(20))[:-4])), "cut off")
    refused(read, png(4, 4, chunk(b"IDAT", zlib.compress(bytes(20))[:-1] + b"a")), "damaged")


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}], ids=str)
@pytest.mark.parametrize("channels", [3, 4])
def test_a_cut_webp_is_refused(read, options, channels):
    buffer = io.BytesIO()
    array = np.dstack([RGB, RGB[..., 0]])[..., :channels]
    Image.fromarray(array).save(buffer, "WEBP", exact=True, **options)
    whole = buffer.getvalue()
    with Image.open(buffer) as image:
        np.testing.assert_array_equal(read(whole).pixels, image)
    for cut in range(2, len(whole) - 60, 150):
        less = whole[:-cut]
        refused(read, less)
        refused(read, less[:4] + (len(less) - 8).to_bytes(4, "little") + less[8:])


def test_a_webp_has_few_chunks(read):
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "WEBP")
    inside = buffer.getvalue()[8:] + b"ABCD\0\0\0\0" * 1001
    refused(read, b"RIFF" + struct.pack("<I", len(inside)) + inside, "thousands of chunks")


# ---- PNG as the standard says


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize(
    ("colour", "bits"), [(0, 1), (0, 2), (0, 16), (2, 8), (2, 16), (3, 4), (4, 16), (6, 8)]
)
def test_all_kinds_of_png(read, colour, bits, interlaced, capfd):
    channels = {2: 3, 4: 2, 6: 4}.get(colour, 1)
    values = RNG.integers(0, 2**bits, (9, 13, channels))
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4)]
        passes += [(1, 0, 2, 2), (0, 1, 1, 2)]
    lines = b""
    for left, top, right, down in passes:
        for row in values[top::down, left::right]:
            text = "".join(f"{value:0{bits}b}" for value in row.ravel())
            size = -(-len(text) // 8)
            lines += b"\0" + int(text.ljust(8 * size, "0"), 2).to_bytes(size, "big")
    palette = RNG.integers(0, 256, (2**bits if colour == 3 else 1, 3), dtype=np.uint8)
    extra = [chunk(b"PLTE", palette.tobytes())] if colour == 3 else []
    key = values[2, 3]
    if colour == 3:
        extra.append(chunk(b"tRNS", b"\0\7"))
    elif colour < 4:
        extra.append(chunk(b"tRNS", key.astype(">u2").tobytes()))
    pixels = read(
        png(13, 9, *extra, data(lines), bits=bits, colour=colour, interlaced=interlaced)
    ).pixels
    scaled = values * (255 // (2**bits - 1) if bits < 8 else 1)
    most = 65535 if bits == 16 else 255
    if colour == 3:
        alpha = np.array([0, 7] + [255] * (2**bits - 2))[values]
        expected = np.dstack([palette[values[..., 0]], alpha])
    elif colour < 4:
        alpha = np.where((values == key).all(axis=2), 0, most)
        expected = np.dstack([scaled] * (3 // channels) + [alpha])
    else:
        expected = values[..., [0, 0, 0, 1]] if colour == 4 else values
    np.testing.assert_array_equal(pixels, expected)
    assert capfd.readouterr() == ("", "")


def test_a_colour_outside_the_palette_is_refused(read):
    content = png(2, 1, chunk(b"PLTE", bytes(6)), data(b"\0\1\2"), colour=3)
    refused(read, content, "uses colour 2 of a palette of 2")
    refused(read, png(2, 1, data(b"\0\1\2"), colour=3), "palette is missing")


# ---- forks, Ctrl-C, options


@pytest.mark.quiet
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_during_a_reading_does_not_block_the_child(tmp_path):
    small, slow = tmp_path / "a.png", tmp_path / "b.tif"
    write_image(small, RGB)
    tifffile.imwrite(slow, np.zeros((1500, 1500, 3), np.uint8), compression="zlib")
    stop = threading.Event()

    def work():
        while not stop.is_set():
            read_image(slow)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(10)
                read_image(small)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join()


@pytest.mark.quiet
def test_ctrl_c_does_not_wait_for_a_codec(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", RGB)
    done = threading.Event()
    decode = imagecodecs.png_decode

    def slow(content):
        hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000)  # in C, half a second or more
        done.set()
        return decode(content)

    monkeypatch.setattr(imagecodecs, "png_decode", slow)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            read_image(tmp_path / "a.png")
        assert not done.is_set()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_interrupted_reading_comes_to_an_end(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB[..., 0], rowsperstrip=1, compression="lzw")
    strips = []
    decode = imagecodecs.lzw_decode

    def interrupted(content, out):
        strips.append(content)
        if len(strips) == 5:
            os.kill(os.getpid(), signal.SIGINT)
            waiting.wait(10)
        return decode(content, out=out)

    waiting = threading.Event()
    monkeypatch.setattr(imagecodecs, "lzw_decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_image(path)
    waiting.set()
    for thread in threading.enumerate():
        if thread.name == "helicopter":
            thread.join(10)
    assert len(strips) == 5


def test_options_of_any_kind(read, tmp_path):
    content = png(1, 1, data(b"\0\7"))
    assert read(content, max_pixels=10**400).pixels.shape == (1, 1)
    assert read(content, max_pixels=np.int64(1)).pixels.shape == (1, 1)
    for limit in (-(10**5000), 0, np.float64(9), np.True_, "9" * 999, object()):
        for reader in (read_image, read_mask):
            with pytest.raises(InvalidOptionError, match="max_pixels must be a positive"):
                read(content, reader, max_pixels=limit)
    for name in ("a\0b.png", "\ud800.png", "a" * 300, "\udcff.png"):
        with pytest.raises(InvalidImageError, match="cannot read"):
            read_image(name)
        with pytest.raises(InvalidMaskError, match="cannot read"):
            read_mask(str(tmp_path / name))
    for path in (None, 3, b"a.png", ["a.png"]):
        with pytest.raises(InvalidOptionError, match="path must be a str or a Path"):
            read_image(path)
