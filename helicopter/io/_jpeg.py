"""JPEG: the markers are followed to the end, since decoders fill what is missing with grey."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import imagecodecs
import numpy as np

from ._limits import Decoded, Limits, Refusal, damaged
from ._tiff_structure import exif_orientation

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["decode_jpeg", "jpeg_pixels"]

_LONGEST_FILE = 512 * 2**20
_MOST_SEGMENTS = 5000
#: A progressive image is drawn anew with each scan; ten are usual. Large ones of little data would
#: take minutes.
_MOST_SCANS = 100
_UNQUESTIONED_PIXELS, _MOST_PIXELS_A_BYTE = 600_000_000, 400

_MARKER = re.compile(rb"\xff+([^\xff])")
#: What ends the data of a scan: a marker that is neither a stuffed zero nor a restart.
_END_OF_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
#: Neither all zeros, with which decoders go on after the end, nor a marker.
_FOREIGN_BITS = bytes.fromhex("a5693c96c35a69b41ee196a54bd278870f") * 2


@dataclass
class _Frame:
    """What the markers tell."""

    width: int = 0
    height: int = 0
    progressive: bool = False
    #: horizontal and vertical sampling of each component
    sampling: dict[int, tuple[int, int]] = field(default_factory=dict)
    #: how many of the low bits of each coefficient are still to come, -1: all
    missing: dict[int, list[int]] = field(default_factory=dict)
    #: where the data of each scan begin and end
    scans: list[tuple[int, int]] = field(default_factory=list)
    restart: int = 0
    """After how many units (MCUs) a scan starts anew; 0: never."""
    exif: bytes | None = None
    profile: dict[int, bytes] = field(default_factory=dict)
    end: int = 0

    @property
    def complete(self) -> bool:
        return all(not any(bits) for bits in self.missing.values())


def decode_jpeg(file: BinaryIO, limits: Limits) -> Decoded:
    """Decode a JPEG file; what follows its end (previews, films) is left alone."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    data = file.read(min(size, _LONGEST_FILE))
    frame = _followed(data, limits)
    pixels = _decoded(data, frame)
    profile = b"".join(frame.profile[number] for number in sorted(frame.profile))
    orientation = 1 if frame.exif is None else exif_orientation(frame.exif)
    return Decoded(pixels, orientation, profile or None)


def jpeg_pixels(
    data: bytes, width: int, heights: tuple[int, ...], colours: str | None, limits: Limits
) -> NDArray[Any]:
    """Decode JPEG data that must be an image of this size.

    `colours` is what three components are (``"RGB"`` or ``"YCBCR"``), None where there is one.
    """
    frame = _followed(data, limits)
    if frame.width != width or frame.height not in heights:
        raise damaged(f"JPEG data of {frame.width} x {frame.height} pixels in a place of another")
    if len(frame.sampling) != (1 if colours is None else 3):
        raise damaged(f"JPEG data of {len(frame.sampling)} components")
    return _decoded(data, frame, colours)


def _followed(data: bytes, limits: Limits) -> _Frame:
    frame = _Frame()
    position = 2
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.match(data, position)
        if found is None:
            raise damaged("a JPEG marker is missing")
        marker, start = found[1][0], found.end()
        if marker == 0xD9:
            break
        length = int.from_bytes(data[start : start + 2], "big")
        body = data[start + 2 : start + length]
        if length < 2 or len(body) != length - 2:
            raise damaged("a JPEG segment is cut off")
        position = start + length
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            _read_frame(frame, marker, body, limits)
        elif marker == 0xDA:
            position = _read_scan(frame, body, data, position)
        elif marker == 0xDD and len(body) == 2:
            frame.restart = int.from_bytes(body, "big")
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            frame.exif = frame.exif or body[6:]
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            _read_profile(frame, body[12:])
        elif not (marker in (0xC4, 0xDB, 0xFE) or 0xE0 <= marker <= 0xEF):
            raise damaged(f"the JPEG marker {marker:#x} has no place here")
    else:
        raise damaged("it has thousands of JPEG segments")
    if not frame.sampling or not frame.complete:
        raise damaged("some of its JPEG scans are missing")
    if frame.profile and sorted(frame.profile) != list(range(1, 1 + len(frame.profile))):
        raise damaged("its colour profile is incomplete")
    frame.end = found.end()
    return frame


def _read_frame(frame: _Frame, marker: int, body: bytes, limits: Limits) -> None:
    if marker not in (0xC0, 0xC1, 0xC2):
        raise Refusal("it is a lossless, hierarchical or arithmetic JPEG; save it as PNG")
    if frame.sampling or len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise damaged("its JPEG header")
    bits, count = body[0], body[5]
    frame.height, frame.width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    limits.check_size(frame.width, frame.height)
    if bits != 8:
        raise Refusal(f"it is a JPEG of {bits} bits; save it as 16-bit PNG")
    if count not in (1, 3):
        kind = "CMYK" if count == 4 else f"{count} JPEG components"
        raise Refusal(f"its colours are {kind}; convert it to RGB (or grey) first")
    frame.progressive = marker == 0xC2
    for at in range(6, len(body), 3):
        sampling = body[at + 1] >> 4, body[at + 1] & 15
        if not all(1 <= factor <= 4 for factor in sampling) or body[at] in frame.sampling:
            raise damaged("its JPEG header")
        frame.sampling[body[at]] = sampling
        frame.missing[body[at]] = [-1] * 64


def _read_scan(frame: _Frame, body: bytes, data: bytes, start: int) -> int:
    """Note what a scan brings; return where it ends."""
    if not body or len(body) != 4 + 2 * body[0]:
        raise damaged("a JPEG scan")
    names = body[1:-3:2]
    first, last, high, low = body[-3], body[-2], body[-1] >> 4, body[-1] & 15
    if not names or len(set(names)) != len(names) or any(n not in frame.sampling for n in names):
        raise damaged("a JPEG scan of unknown components")
    if not frame.progressive:
        first, last, high, low = 0, 63, 0, 0
    elif last > 63 or (last != 0 if first == 0 else last < first or len(names) != 1):
        raise damaged("a progressive JPEG scan")
    for name in names:
        missing = frame.missing[name]
        expected = high if high else -1
        if any(missing[at] != expected for at in range(first, last + 1)) or (
            high and low != high - 1
        ):
            raise damaged("its JPEG scans do not fit together")
        missing[first : last + 1] = [low] * (last + 1 - first)
    found = _END_OF_SCAN.search(data, start)
    if found is None:
        raise damaged("its JPEG data have no end")
    frame.scans.append((start, found.start()))
    most = max(_UNQUESTIONED_PIXELS, _MOST_PIXELS_A_BYTE * len(data))
    drawn = len(frame.scans) * frame.width * frame.height
    if len(frame.scans) > _MOST_SCANS or (frame.progressive and drawn > most):
        raise Refusal(f"it is a JPEG of more than {len(frame.scans) - 1} scans; save it as PNG")
    units, blocks = _units(frame, names)
    due = (units - 1) // frame.restart if frame.restart else 0
    number = 0
    for number, restart in enumerate(_RESTART.finditer(data, start, found.start()), start=1):
        # some encoders set one more at the very end
        if number > due + 1 or restart[0][1] != 0xD0 + (number - 1) % 8:
            raise damaged("its JPEG data lack a part")
    if number < due:
        raise damaged("its JPEG data lack a part")
    # a code has at least one bit; a block of a sequential image at least two codes
    codes = 1 if frame.progressive else 2
    if first == 0 and 8 * (found.start() - start) < units * blocks * codes:
        raise damaged("its JPEG data are too short for its size")
    return found.start()


def _units(frame: _Frame, names: bytes) -> tuple[int, int]:
    """Return the number of units (MCUs) in a scan, and of blocks in each."""
    widest = max(h for h, _ in frame.sampling.values())
    tallest = max(v for _, v in frame.sampling.values())
    if len(names) > 1:
        units = -(-frame.width // (8 * widest)) * -(-frame.height // (8 * tallest))
        return units, sum(h * v for h, v in (frame.sampling[name] for name in names))
    h, v = frame.sampling[names[0]]
    return -(-frame.width * h // (8 * widest)) * -(-frame.height * v // (8 * tallest)), 1


def _read_profile(frame: _Frame, body: bytes) -> None:
    """Keep one of the parts of at most 64 KiB in which colour profiles are stored."""
    if len(body) < 2 or body[0] in frame.profile:
        raise damaged("its colour profile")
    frame.profile[body[0]] = body[2:]


def _decoded(data: bytes, frame: _Frame, colours: str | None = None) -> NDArray[Any]:
    pixels = _decompressed(data[: frame.end], colours)
    # Where data end too early, the decoder goes on with zeros and tells nobody. Foreign bits behind
    # the data of each scan change nothing in a picture that is whole.
    parts, position = [], 0
    for start, stop in frame.scans:
        parts += [data[position:start], _RESTART.sub(_with_foreign_bits, data[start:stop])]
        parts.append(_FOREIGN_BITS)
        position = stop
    parts.append(data[position : frame.end])
    again = _decompressed(b"".join(parts), colours)
    if not all(
        np.array_equal(pixels[row : row + 256], again[row : row + 256])
        for row in range(0, frame.height, 256)
    ):
        raise damaged("some of its JPEG data are missing")
    return pixels


def _decompressed(data: bytes, colours: str | None) -> NDArray[Any]:
    pixels: NDArray[Any] = imagecodecs.jpeg8_decode(
        data, colorspace=colours, outcolorspace=None if colours is None else "RGB"
    )
    return pixels


def _with_foreign_bits(restart: re.Match[bytes]) -> bytes:
    return _FOREIGN_BITS + restart[0]
