"""WebP: the container (RFC 9649) is checked, the size twice, before anything is decoded."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, BinaryIO

import imagecodecs

from ._limits import Decoded, Limits, Refusal, damaged, exactly
from ._tiff_structure import exif_orientation

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["decode_webp", "webp_pixels"]


def decode_webp(file: BinaryIO, limits: Limits) -> Decoded:
    """Decode a WebP file of one image."""
    head = exactly(file, 30)
    limits.check_size(*_canvas(head))
    length = _length(head, limits)
    data = head + exactly(file, length - len(head))
    chunks = _checked(data)
    exif = chunks.get(b"EXIF")
    return Decoded(
        imagecodecs.webp_decode(data),
        1 if exif is None else exif_orientation(exif),
        chunks.get(b"ICCP") or None,
    )


def webp_pixels(data: bytes, width: int, height: int, limits: Limits) -> NDArray[Any]:
    """Decode WebP data that must be an image of this size."""
    if len(data) < 30 or _canvas(data[:30]) != (width, height):
        raise damaged("WebP data of another size than told")
    if len(data) < _length(data[:30], limits):
        raise damaged("WebP data are cut off")
    _checked(data)
    pixels: NDArray[Any] = imagecodecs.webp_decode(data)
    return pixels


def _length(head: bytes, limits: Limits) -> int:
    length = 8 + int.from_bytes(head[4:8], "little")
    width, height = _canvas(head)
    if length < 30 or length > 8 * width * height + 2**26:
        raise damaged("its length does not fit its size")
    limits.check_expansion(4 * width * height, length)
    return length


def _canvas(head: bytes) -> tuple[int, int]:
    kind = head[12:16]
    if kind == b"VP8X":
        return _int24(head, 24) + 1, _int24(head, 27) + 1
    return _frame(kind, head[20:])


def _frame(kind: bytes, body: bytes) -> tuple[int, int]:
    if kind == b"VP8L" and len(body) >= 5:
        packed = int.from_bytes(body[1:5], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(body) >= 10:
        width, height = struct.unpack("<HH", body[6:10])
        return width & 0x3FFF, height & 0x3FFF
    raise damaged("its WebP header")


def _checked(data: bytes) -> dict[bytes, bytes]:
    """Return the chunks of metadata of a file that holds one whole image."""
    end = 8 + int.from_bytes(data[4:8], "little")
    chunks: dict[bytes, bytes] = {}
    position, number, pictures, frames = 12, 0, 0, 0
    while position < end:
        number += 1
        if number > 1000:
            raise damaged("it has thousands of chunks")
        name, length = data[position : position + 4], data[position + 4 : position + 8]
        start = position + 8
        stop = start + int.from_bytes(length, "little")
        if stop > end:
            raise damaged("a chunk is cut off")
        if name in (b"VP8 ", b"VP8L"):
            pictures += 1
            if _frame(name, data[start : start + 10]) != _canvas(data[:30]):
                raise damaged("it gives two different sizes")
        elif name == b"ANMF":
            frames += 1
        elif name in chunks and name in (b"ICCP", b"EXIF", b"ALPH", b"VP8X"):
            raise damaged(f"it has two chunks {name.decode()}")
        elif name in (b"ICCP", b"EXIF", b"VP8X"):
            chunks[name] = data[start:stop]
        position = stop + stop % 2
    if frames:
        raise Refusal(f"it is an animation of {frames} frames; save the one you mean as a still")
    if pictures != 1:
        raise damaged(f"it holds {pictures} pictures")
    return chunks


def _int24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")
