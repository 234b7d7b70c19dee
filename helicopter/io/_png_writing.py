"""PNG with 16 bits a channel, which Pillow cannot write in colour; row by row, with no pause."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["write_png16"]

#: Bytes that are filtered and compressed at a time, a matter of hundredths of a second.
_AT_ONCE = 1 << 18
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
_LEFT, _ABOVE = 1, 2


def write_png16(file: BinaryIO, pixels: NDArray[np.uint16], icc_profile: bytes | None) -> None:
    """Write a grey, RGB or RGBA image."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    file.write(b"\x89PNG\r\n\x1a\n")
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)
    _write_chunk(file, b"IHDR", header)
    if icc_profile:
        _write_chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(icc_profile))
    compress = zlib.compressobj()
    rows = max(1, _AT_ONCE // (2 * channels * width))
    above = np.zeros((1, 2 * channels * width), np.uint8)
    for top in range(0, height, rows):
        strip = pixels[top : top + rows].astype(">u2").reshape(-1, channels * width).view(np.uint8)
        data = _filtered(strip, above, 2 * channels).data.cast("B")
        above = strip[-1:]
        for start in range(0, len(data), _AT_ONCE):
            _write_chunk(file, b"IDAT", compress.compress(data[start : start + _AT_ONCE]))
    _write_chunk(file, b"IDAT", compress.flush())
    _write_chunk(file, b"IEND", b"")


def _filtered(rows: NDArray[np.uint8], above: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Subtract from each row its left neighbours or the row above, whichever leaves less."""
    differences = np.empty((2, *rows.shape), np.uint8)
    differences[0, :, :step] = rows[:, :step]
    np.subtract(rows[:, step:], rows[:, :-step], out=differences[0, :, step:])
    np.subtract(rows[:1], above, out=differences[1, :1])
    np.subtract(rows[1:], rows[:-1], out=differences[1, 1:])
    left, up = np.minimum(differences, -differences).sum(axis=2, dtype=np.int64)
    best = (up < left).astype(np.intp)
    filtered = np.empty((rows.shape[0], 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = np.where(best, _ABOVE, _LEFT)
    filtered[:, 1:] = differences[best, np.arange(len(rows))]
    return filtered


def _write_chunk(file: BinaryIO, name: bytes, body: bytes) -> None:
    if body or name == b"IEND":
        file.write(struct.pack(">I", len(body)) + name + body)
        file.write(struct.pack(">I", zlib.crc32(body, zlib.crc32(name))))
