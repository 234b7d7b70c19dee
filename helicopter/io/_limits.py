"""What a file may ask for, checked before memory or time is given to it."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Decoded", "Limits", "Refusal", "damaged", "exactly", "inflated_profile"]

#: Formats that can say "all the same" hold gigabytes in a few bytes. Deflate, the strongest packing
#: in everyday use, reaches 1032; no photograph comes near.
_LARGEST_EXPANSION = 2000
#: Up to this size a file may unpack to whatever it likes.
_UNQUESTIONED = 256 * 2**20
#: The largest colour profiles in use (printers with many inks) take a few megabytes.
_LARGEST_PROFILE = 16 * 2**20


class Refusal(Exception):
    """Why a file cannot be read; the caller adds its name."""


def damaged(reason: object) -> Refusal:
    """Return the refusal of a file that breaks its own format."""
    return Refusal(f"the file is damaged or incomplete ({reason}); fetch or export it again")


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pixels as stored, and how to turn them upright."""

    pixels: NDArray[Any]
    orientation: int = 1
    icc_profile: bytes | None = None


@dataclass(frozen=True)
class Limits:
    """What one reading may use."""

    max_pixels: int

    def check_size(self, width: int, height: int) -> None:
        """Refuse an image of no pixels or of more than the caller allows."""
        if width < 1 or height < 1:
            raise Refusal(f"its header gives a size of {width} x {height} pixels")
        if width * height > self.max_pixels:
            raise Refusal(
                f"it is {width} x {height} = {width * height:,} pixels, more than the limit of "
                f"{self.max_pixels:,}; if you trust the file, raise the limit (max_pixels=..., "
                "or --max-pixels on the command line)"
            )

    def check_expansion(self, unpacked: int, packed: int) -> None:
        """Refuse to unpack a few bytes to a few gigabytes."""
        if unpacked > max(_UNQUESTIONED, _LARGEST_EXPANSION * packed):
            raise Refusal(
                f"its {packed:,} bytes of picture data would unpack to {unpacked:,}, which no "
                "photograph does; save it as a TIFF without compression"
            )


def exactly(file: BinaryIO, count: int) -> bytes:
    """Read `count` bytes, or refuse."""
    if count > 2**20:  # makes room before it looks whether there is so much
        position = file.tell()
        rest = file.seek(0, io.SEEK_END) - position
        file.seek(position)
        if rest < count:
            raise damaged(f"it ends {count - rest:,} bytes too early")
    data = file.read(count)
    if len(data) != count:
        raise damaged(f"it ends {count - len(data):,} bytes too early")
    return data


def inflated_profile(data: bytes) -> bytes:
    """Unpack a colour profile that zlib has packed."""
    stream = zlib.decompressobj()
    profile = stream.decompress(data, _LARGEST_PROFILE)
    if not stream.eof:
        raise damaged("its colour profile is cut off or too large")
    return profile
