"""One decoder a format; which one, a file's first bytes tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from ._jpeg import decode_jpeg
from ._limits import Decoded, Limits, Refusal, damaged
from ._png import decode_png
from ._tiff import decode_tiff
from ._webp import decode_webp

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["decode"]

_DECODERS: dict[str, Callable[[BinaryIO, Limits], Decoded]] = {
    "PNG": decode_png,
    "JPEG": decode_jpeg,
    "TIFF": decode_tiff,
    "WEBP": decode_webp,
}


def decode(file: BinaryIO, limits: Limits) -> tuple[str, Decoded]:
    """Return the format and the pixels of a file.

    Raises
    ------
    Refusal
        If it does not hold one whole image within the limits.
    """
    name = _sniff(file.read(32))
    if name is None:
        raise Refusal("it is not a PNG, JPEG, TIFF or WebP file; convert it to one of these")
    file.seek(0)
    try:
        return name, _DECODERS[name](file, limits)
    except (Refusal, MemoryError, OSError):
        raise
    except Exception as error:
        # codecs have errors of their own, and hostile numbers find every way to fail
        raise damaged(error) from error


def _sniff(head: bytes) -> str | None:
    """Name the format from a file's first bytes; the suffix may lie."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return None
