"""The structure of a TIFF: directories of tags (TIFF 6.0 and BigTIFF), each value checked."""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np

from ._limits import Refusal, damaged, exactly

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Directory", "Tag", "TiffStructure", "exif_orientation", "only_page"]

_MOST_TAGS = 1000
_MOST_DIRECTORIES = 1000
#: Tags in all, each directory counted as a hundred more.
_MOST_READ = 500_000
#: More strips or tiles than any sensible file has: 512 megapixels in tiles of 64 x 64 are 125,000.
MOST_SEGMENTS = 2**17

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_SIZES |= {13: 4, 16: 8, 17: 8, 18: 8}
#: The type of a tag that is there twice, which leaves open what holds.
_TWICE = -1
#: The types that hold a whole number from zero.
_WHOLE = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}


class Tag:
    """The numbers of the tags that are looked at."""

    NEW_SUBFILE_TYPE = 254
    SUBFILE_TYPE = 255
    IMAGE_WIDTH = 256
    IMAGE_LENGTH = 257
    BITS_PER_SAMPLE = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    IMAGE_DESCRIPTION = 270
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES_PER_PIXEL = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTE_COUNTS = 279
    PLANAR_CONFIGURATION = 284
    PREDICTOR = 317
    COLOR_MAP = 320
    TILE_WIDTH = 322
    TILE_LENGTH = 323
    TILE_OFFSETS = 324
    TILE_BYTE_COUNTS = 325
    SUB_IFDS = 330
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    JPEG_TABLES = 347
    YCBCR_COEFFICIENTS = 529
    REFERENCE_BLACK_WHITE = 532
    IMAGE_DEPTH = 32997
    METAMORPH_PLANES = 33629
    ICC_PROFILE = 34675


_KNOWN = {value for name, value in vars(Tag).items() if name.isupper()}


@dataclass(frozen=True)
class _Entry:
    kind: int
    count: int
    offset: int
    """Where the values are in the file."""


class TiffStructure:
    """A TIFF file whose directories can be read one by one.

    Only what the tags of this file point at inside this file is ever read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._read = 0
        self.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        head = exactly(file, 8)
        self.order: Literal["<", ">"] = "<" if head[:2] == b"II" else ">"
        kind = int.from_bytes(head[2:4], "little" if self.order == "<" else "big")
        if head[:2] not in (b"II", b"MM") or kind not in (42, 43):
            raise damaged("it has no TIFF header")
        self._big = kind == 43
        if self._big:
            sizes, self.first = struct.unpack(self.order + "IQ", head[4:8] + exactly(file, 8))
            if sizes != (8 << 16 if self.order == ">" else 8):
                raise damaged("its BigTIFF header")
        else:
            (self.first,) = struct.unpack(self.order + "I", head[4:8])

    def directory(self, offset: int) -> Directory:
        """Read the directory at this place of the file."""
        file, order = self._file, self.order
        count_code, entry_code, next_code = (
            ("Q", "HHQ8s", "Q") if self._big else ("H", "HHI4s", "I")
        )
        if offset < 8 or offset >= self.size:
            raise damaged("a directory of tags lies outside the file")
        file.seek(offset)
        (count,) = struct.unpack(
            order + count_code, exactly(file, struct.calcsize("=" + count_code))
        )
        self._read += 100 + count
        if count > _MOST_TAGS or self._read > _MOST_READ:
            raise damaged(f"it has a directory of {count} tags, or thousands of directories")
        entry = struct.Struct(order + entry_code)
        data = exactly(file, count * entry.size)
        following = exactly(file, struct.calcsize("=" + next_code))
        entries: dict[int, _Entry] = {}
        position = offset + struct.calcsize("=" + count_code)
        for tag, kind, number, value in entry.iter_unpack(data):
            position += entry.size
            if tag not in _KNOWN:
                continue
            at = position - len(value)
            if _SIZES.get(kind, 0) * number > len(value):
                (at,) = struct.unpack(order + next_code, value)
            if tag in entries:
                kind = _TWICE
            entries[tag] = _Entry(kind, number, at)
        return Directory(self, entries, struct.unpack(order + next_code, following)[0])

    def read(self, offset: int, count: int) -> bytes:
        """Read a part of the file."""
        if offset > self.size:
            raise damaged("its tags point outside the file")
        self._file.seek(offset)
        return exactly(self._file, count)


@dataclass(frozen=True)
class Directory:
    """The tags of one image, of those in `Tag`."""

    structure: TiffStructure
    entries: dict[int, _Entry]
    following: int
    """Where the next directory is; 0 after the last."""

    def __contains__(self, tag: int) -> bool:
        return tag in self.entries

    def numbers(self, tag: int, most: int = 16) -> NDArray[Any]:
        """Return the whole numbers of a tag; none where the tag is missing."""
        entry = self.entries.get(tag)
        if entry is None:
            return np.empty(0, np.uint64)
        if entry.kind not in _WHOLE or not 0 < entry.count <= most:
            raise _unfit(tag, entry)
        dtype = np.dtype(self.structure.order + _WHOLE[entry.kind])
        data = self.structure.read(entry.offset, entry.count * dtype.itemsize)
        return np.frombuffer(data, dtype).astype(np.uint64)

    def number(self, tag: int, default: int | None = None) -> int:
        """Return the value of a tag that says the same for all channels."""
        values = self.numbers(tag)
        if len(values) == 0:
            if default is None:
                raise damaged(f"its tag {tag} is missing")
            return default
        if (values != values[0]).any():
            raise Refusal(
                f"its channels differ in kind (tag {tag}: {', '.join(map(str, values))}); save it "
                "as grey, RGB or RGBA"
            )
        return int(values[0])

    def content(self, tag: int, most: int) -> bytes | None:
        """Return at most the first `most` bytes of a tag of text or bytes, None if missing."""
        entry = self.entries.get(tag)
        if entry is None:
            return None
        if entry.kind not in (1, 2, 6, 7):
            raise _unfit(tag, entry)
        return self.structure.read(entry.offset, min(entry.count, most))

    def fractions(self, tag: int) -> list[float]:
        """Return the rational numbers of a tag."""
        entry = self.entries[tag]
        if entry.kind != 5 or not 0 < entry.count <= 6:
            raise _unfit(tag, entry)
        data = self.structure.read(entry.offset, 8 * entry.count)
        pairs = struct.iter_unpack(self.structure.order + "II", data)
        return [above / below if below else np.inf for above, below in pairs]

    @property
    def reduced(self) -> bool:
        """Whether it says of itself that it is a smaller version of another image."""
        return bool(
            self.number(Tag.NEW_SUBFILE_TYPE, 0) & 1 or self.number(Tag.SUBFILE_TYPE, 0) == 2
        )


def _unfit(tag: int, entry: _Entry) -> Refusal:
    if entry.kind == _TWICE:
        return damaged(f"it has tag {tag} twice")
    return damaged(f"its tag {tag} has {entry.count} values of type {entry.kind}")


def only_page(structure: TiffStructure) -> Directory:
    """Return the directory of the only image of a file; previews beside it do not count."""
    full: list[Directory] = []
    seen: set[int] = set()
    inner, offset = 0, structure.first
    while offset:
        if offset in seen or len(seen) > _MOST_DIRECTORIES:
            raise damaged("its chain of pages has no end" if offset in seen else "too many pages")
        seen.add(offset)
        directory = structure.directory(offset)
        if not directory.reduced:
            full.append(directory)
        for sub in directory.numbers(Tag.SUB_IFDS, most=100):
            inner += not structure.directory(int(sub)).reduced
        if inner > _MOST_DIRECTORIES:
            raise damaged("too many pages")
        offset = directory.following
    if not full and not inner:
        raise Refusal(
            "it holds nothing but a preview (NewSubfileType says so of its page); "
            "export the full image, or save this one anew if it is what you mean"
        )
    if not full:
        raise Refusal("its full image is not its first, as in raw files; export it as a plain TIFF")
    pages = max(len(full) + inner, _planes(full[0]))
    if pages > 1:
        raise Refusal(f"it is a stack of {pages} pages; save the one you mean by itself")
    return full[0]


def _planes(directory: Directory) -> int:
    """Count the images that some programs store behind a single directory."""
    planes = directory.number(Tag.IMAGE_DEPTH, 1)
    if Tag.METAMORPH_PLANES in directory:
        planes = max(planes, directory.entries[Tag.METAMORPH_PLANES].count)
    text = directory.content(Tag.IMAGE_DESCRIPTION, 1000) or b""
    if text.startswith(b"ImageJ="):
        found = re.search(rb"^images=(\d{1,9})\s*$", text, re.MULTILINE)
        planes = max(planes, int(found[1]) if found else 1)
    elif shape := re.match(rb'\{"shape": \[([\d, ]{1,200})\]', text):
        size = directory.number(Tag.IMAGE_WIDTH) * directory.number(Tag.IMAGE_LENGTH)
        size *= directory.number(Tag.SAMPLES_PER_PIXEL, 1)
        values = 1
        for number in shape[1].split(b","):
            values *= int(number or b"1")
        planes = max(planes, values // max(1, size))
    return planes


def exif_orientation(data: bytes) -> int:
    """Return the orientation that EXIF data tell; they have the structure of a TIFF."""
    data = data.removeprefix(b"Exif\0\0")
    if not data:
        return 1
    # some cameras leave out the place of the next directory
    structure = TiffStructure(io.BytesIO(data + bytes(4)))
    return structure.directory(structure.first).number(Tag.ORIENTATION, 1)
