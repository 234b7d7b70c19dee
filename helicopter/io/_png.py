"""PNG: every chunk is checked, and only those that make the picture reach the decoder."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

import imagecodecs
import numpy as np

from ._limits import Decoded, Limits, Refusal, damaged, exactly, inflated_profile
from ._tiff_structure import exif_orientation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["decode_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
#: Samples a pixel and depths of each colour type (ISO/IEC 15948, table 11.1).
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_KINDS = {
    _GREY: (1, (1, 2, 4, 8, 16)),
    _RGB: (3, (8, 16)),
    _PALETTE: (1, (1, 2, 4, 8)),
    _GREY_ALPHA: (2, (8, 16)),
    _RGB_ALPHA: (4, (8, 16)),
}
#: Left, top, and the steps to the right and down of each pass of an interlaced image.
_ADAM7 = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip
#: The limit of libpng, which prints a warning about more.
_LONGEST_SIDE = 1_000_000
_LARGEST_METADATA = 256 * 2**20


def decode_png(file: BinaryIO, limits: Limits) -> Decoded:
    """Decode a PNG file of one image."""
    exactly(file, len(_SIGNATURE))
    chunks = _chunks(file)
    name, header = next(chunks)
    if name != b"IHDR" or len(header) != 13:
        raise damaged("it does not begin with a header")
    width, height, bits, colour, compression, filters, interlaced = struct.unpack(
        ">IIBBBBB", header
    )
    limits.check_size(width, height)
    if max(width, height) > _LONGEST_SIDE:
        raise Refusal(
            f"it is {width} x {height} pixels, and PNG is read up to {_LONGEST_SIDE:,} a side; "
            "save it as TIFF"
        )
    if bits not in _KINDS.get(colour, (0, ()))[1]:
        raise damaged(f"colour type {colour} with {bits} bits")
    if compression or filters or interlaced > 1:
        raise damaged("unknown methods of compression or filtering in its header")
    unpacked = height * (1 + (width * bits * _KINDS[colour][0] + 7) // 8)

    other: dict[bytes, bytes] = {}
    data: list[bytes] = []
    packed = 0
    for name, body in chunks:
        if name == b"IDAT":
            data.append(body)
            packed += len(body)
            if packed > unpacked + unpacked // 8 + 2**16:
                raise damaged("it holds more data than a picture of its size needs")
        elif name in other and name in (b"PLTE", b"tRNS", b"iCCP", b"eXIf"):
            raise damaged(f"it has two chunks {name.decode()}")
        elif name in (b"PLTE", b"tRNS") and data:
            raise damaged(f"its chunk {name.decode()} comes too late")
        elif name == b"acTL" and not data:
            frames = int.from_bytes(body[:4], "big")
            if frames != 1:
                raise Refusal(
                    f"it is an animation of {frames} frames; save the one you mean as a still"
                )
        else:
            other[name] = body
    limits.check_expansion(unpacked, packed)
    lines = _Lines(data)
    pixels = _pixels(header, other.get(b"PLTE"), other.get(b"tRNS"), lines)
    profile = other.get(b"iCCP")
    return Decoded(
        pixels,
        exif_orientation(other[b"eXIf"]) if b"eXIf" in other else 1,
        None if profile is None else inflated_profile(profile[profile.find(b"\0") + 2 :]),
    )


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the chunks up to IEND; content that nobody asks for is empty."""
    wanted = (*_CRITICAL, b"tRNS", b"iCCP", b"eXIf", b"acTL")
    position = passed = number = 0
    name = b""
    while name != b"IEND":
        number += 1
        if number > 10_000 + position // 512:
            raise damaged("it consists of thousands of tiny chunks")
        length, name = struct.unpack(">I4s", exactly(file, 8))
        if not (name.isalpha() and name.isascii()) or length >= 2**31:
            raise damaged(f"{name!r} is no name of a chunk")
        if name[:1].isupper() and name not in _CRITICAL:
            raise damaged(f"the critical chunk {name.decode()} is unknown")
        if name != b"IDAT":
            passed += length
            if passed > _LARGEST_METADATA:
                raise Refusal("its metadata are larger than 256 MiB; save it without them")
        body = bytearray()
        checksum = zlib.crc32(name)
        for start in range(0, length, 2**20):
            piece = exactly(file, min(2**20, length - start))
            checksum = zlib.crc32(piece, checksum)
            if name in wanted:
                body += piece
        if checksum != int.from_bytes(exactly(file, 4), "big"):
            raise damaged(f"the checksum of its chunk {name.decode()} is wrong")
        position += 12 + length
        yield name, bytes(body)


def _pixels(
    header: bytes, palette: bytes | None, transparency: bytes | None, lines: _Lines
) -> NDArray[Any]:
    colour, bits = header[9], header[8]
    if transparency is not None and not (
        (colour == _GREY and len(transparency) == 2)
        or (colour == _RGB and len(transparency) == 6)
        or (colour == _PALETTE and 0 < len(transparency) <= 256)
    ):
        raise damaged("its transparency does not fit its colours")
    if colour == _PALETTE:
        # read as grey, the indices can be checked: decoders replace those that are out of range
        pixels = _samples(header[:9] + bytes([_GREY]) + header[10:], None, lines)
    else:
        pixels = _samples(header, transparency, lines)
    lines.finish()
    if colour == _PALETTE:
        return _coloured(pixels // (255 // (2**bits - 1)), palette or b"", transparency)
    if pixels.ndim == 3 and pixels.shape[2] == 2:
        pixels = pixels[..., [0, 0, 0, 1]]
    return pixels


class _Lines:
    """Picture data, unpacked piece by piece: neither more nor less than a picture needs."""

    def __init__(self, data: list[bytes]) -> None:
        self._stream = zlib.decompressobj()
        self._packed = (
            body[start : start + 2**20] for body in data for start in range(0, len(body), 2**20)
        )

    def read(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes in pieces."""
        while size:
            packed = self._stream.unconsumed_tail or next(self._packed, b"")
            piece = self._stream.decompress(packed, min(size, 2**24))
            if not piece and not packed:
                raise damaged("its data are cut off")
            size -= len(piece)
            if piece:
                yield piece

    def finish(self) -> None:
        """Read the checksum, before which nothing may be left."""
        packed = self._stream.unconsumed_tail or next(self._packed, b"")
        while packed and not self._stream.eof:
            if self._stream.decompress(packed, 1):
                raise damaged("it holds more data than a picture of its size needs")
            packed = self._stream.unconsumed_tail or next(self._packed, b"")
        if not self._stream.eof:
            raise damaged("its data are cut off")


def _samples(header: bytes, transparency: bytes | None, lines: _Lines) -> NDArray[Any]:
    width, height = struct.unpack(">II", header[:8])
    bits = header[8] * _KINDS[header[9]][0]
    pixels: NDArray[Any] | None = None
    # libpng is given one pass of an interlaced image at a time: given all, it prints a warning
    for left, top, right, down in _ADAM7 if header[12] else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        if columns < 1 or rows < 1:
            continue
        part = bytearray(_SIGNATURE)
        part += _chunk(b"IHDR", struct.pack(">II", columns, rows) + header[8:12] + b"\0")
        if transparency is not None:
            part += _chunk(b"tRNS", transparency)
        packer = zlib.compressobj(0)
        for piece in lines.read(rows * (1 + (columns * bits + 7) // 8)):
            part += _chunk(b"IDAT", packer.compress(piece))
        part += _chunk(b"IDAT", packer.flush()) + _chunk(b"IEND", b"")
        decoded: NDArray[Any] = imagecodecs.png_decode(part)
        if not header[12]:
            return decoded
        if pixels is None:
            pixels = np.empty((height, width, *decoded.shape[2:]), decoded.dtype)
        pixels[top::down, left::right] = decoded
    if pixels is None:
        raise damaged("it has no pixels")
    return pixels


def _coloured(
    indices: NDArray[Any], palette: bytes, transparency: bytes | None
) -> NDArray[np.uint8]:
    colours = np.frombuffer(palette, np.uint8)
    if not 0 < colours.size <= 768 or colours.size % 3:
        raise damaged("its palette is missing or of a wrong size")
    colours = colours.reshape(-1, 3)
    if transparency is not None:
        alpha = np.full(len(colours), 255, np.uint8)
        alpha[: len(transparency)] = np.frombuffer(transparency, np.uint8)[: len(colours)]
        colours = np.column_stack([colours, alpha])
    if int(indices.max()) >= len(colours):
        raise damaged(f"it uses colour {indices.max()} of a palette of {len(colours)}")
    return np.asarray(colours[indices])


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
