"""TIFF: strip by strip, each of exactly the size that the tags tell.

Written on codecs and not on tifffile, which follows the metadata of two dozen vendors, into other
files too, and fills what is missing with zeros.
"""

from __future__ import annotations

import lzma
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import imagecodecs
import numpy as np

from ._jpeg import jpeg_pixels
from ._limits import Decoded, Limits, Refusal, damaged
from ._tiff_structure import MOST_SEGMENTS, Directory, Tag, TiffStructure, only_page
from ._webp import webp_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["decode_tiff"]

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_PHOTOMETRIC = {
    4: "TRANSPARENCY MASK", 5: "CMYK", 8: "CIELAB", 9: "ICCLAB", 10: "ITULAB",
    32803: "a camera's raw mosaic", 32844: "LOGL", 32845: "LOGLUV", 34892: "LINEAR RAW",
}  # fmt: skip
_COMPRESSIONS = {
    2: "CCITT RLE", 3: "CCITT group 3", 4: "CCITT group 4", 6: "old-style JPEG", 33003: "JPEG 2000",
    33005: "JPEG 2000", 34712: "JPEG 2000", 34887: "LERC", 34933: "PNG", 50002: "JPEG XL",
    52546: "JPEG XL",
}  # fmt: skip
_KINDS = {1: "uint", 2: "int", 3: "float", 4: "uint", 5: "complexint", 6: "complex"}
_NONE, _LZW, _JPEG, _WEBP = 1, 5, 7, 50001
#: Strips or tiles that are JPEG or WebP, each with headers of its own.
_MOST_FILES = 2**14
_LARGEST_PROFILE = 16 * 2**20


@dataclass(frozen=True)
class _Layout:
    """How the pixels of one page are stored."""

    width: int
    height: int
    samples: int
    bits: int
    kind: str
    photometric: int
    compression: int
    predictor: int
    reversed_bits: bool
    planar: bool
    tiled: bool
    columns: int
    """Width of a strip or tile."""
    rows: int
    order: Literal["<", ">"]
    tables: bytes | None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a sample; those of less than eight bits are unpacked to eight."""
        return np.dtype(f"{self.kind}{max(8, self.bits)}")

    @property
    def planes(self) -> int:
        """How many samples of a pixel lie side by side in a strip or tile."""
        return 1 if self.planar else self.samples

    @property
    def grid(self) -> tuple[int, int, int]:
        return (
            self.samples // self.planes,
            -(-self.height // self.rows),
            -(-self.width // self.columns),
        )

    def stored_rows(self, top: int) -> int:
        """Return how many rows are in the strip or tile that begins at row `top`."""
        return self.rows if self.tiled else min(self.rows, self.height - top)

    def row_bytes(self) -> int:
        """Return the size of a row of a strip or tile."""
        return (self.columns * self.planes * self.bits + 7) // 8


def decode_tiff(file: BinaryIO, limits: Limits) -> Decoded:
    """Decode a TIFF file of one image."""
    structure = TiffStructure(file)
    page = only_page(structure)
    layout = _layout(page, limits)
    alpha = _checked_alpha(page, layout)
    segments = _segments(page, layout, limits)
    colours = _colours(page, layout) if layout.photometric == _PALETTE else None
    profile = page.content(Tag.ICC_PROFILE, _LARGEST_PROFILE)
    pixels = np.empty((layout.height, layout.width, layout.samples), layout.dtype)
    for plane, top, left, offset, count in segments:
        part = _segment(layout, layout.stored_rows(top), structure.read(offset, count), limits)
        target = pixels[
            top : top + layout.rows,
            left : left + layout.columns,
            plane : plane + layout.planes,
        ]
        target[:] = part[: target.shape[0], : target.shape[1]]
    return Decoded(
        _finished(pixels, layout, colours, alpha), page.number(Tag.ORIENTATION, 1), profile
    )


def _layout(page: Directory, limits: Limits) -> _Layout:
    width, height = page.number(Tag.IMAGE_WIDTH), page.number(Tag.IMAGE_LENGTH)
    limits.check_size(width, height)
    tiled = Tag.TILE_WIDTH in page or Tag.TILE_OFFSETS in page
    rows = page.number(Tag.TILE_LENGTH) if tiled else page.number(Tag.ROWS_PER_STRIP, height)
    columns = page.number(Tag.TILE_WIDTH) if tiled else width
    if not tiled:
        rows = min(rows, height)
    elif columns % 16 or rows % 16:
        raise damaged(f"tiles of {columns} x {rows}, which are not multiples of 16")
    if rows < 1 or columns < 1:
        raise damaged("strips or tiles of no pixels")
    photometric = page.number(Tag.PHOTOMETRIC)
    compression = page.number(Tag.COMPRESSION, _NONE)
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR):
        name = _PHOTOMETRIC.get(photometric, f"of kind {photometric}")
        raise Refusal(f"its colours are {name}; convert it to RGB (or grey) first")
    if photometric == _YCBCR and compression != _JPEG:
        raise Refusal("its colours are YCBCR; convert it to RGB (or grey) first")
    if compression not in (_NONE, _JPEG, _WEBP) and compression not in _UNPACK:
        name = _COMPRESSIONS.get(compression, f"of kind {compression}")
        raise Refusal(f"its compression is {name}; save it with LZW, Deflate or none")
    layout = _Layout(
        width=width,
        height=height,
        samples=page.number(Tag.SAMPLES_PER_PIXEL, 1),
        bits=page.number(Tag.BITS_PER_SAMPLE, 1),
        kind=_KINDS.get(page.number(Tag.SAMPLE_FORMAT, 1), "of an unknown kind, "),
        photometric=photometric,
        compression=compression,
        predictor=page.number(Tag.PREDICTOR, 1),
        reversed_bits=page.number(Tag.FILL_ORDER, 1) == 2,
        planar=page.number(Tag.PLANAR_CONFIGURATION, 1) == 2,
        tiled=tiled,
        columns=columns,
        rows=rows,
        order=page.structure.order,
        tables=page.content(Tag.JPEG_TABLES, 2**16),
    )
    _check_samples(layout)
    if photometric == _YCBCR:
        _check_ycbcr(page)
    return layout


def _check_samples(layout: _Layout) -> None:
    kind = f"{layout.kind}{layout.bits}"
    low = kind in ("uint1", "uint2", "uint4")
    if not low and kind not in ("uint8", "uint16", "float16", "float32", "float64"):
        raise Refusal(f"its pixels are {kind}; save them as uint8, uint16 or float32")
    colours = 3 if layout.photometric in (_RGB, _YCBCR) else 1
    if not colours <= layout.samples <= colours + 1:
        raise Refusal(f"it has {layout.samples} channels; save it as grey, RGB or RGBA")
    if low and layout.samples > 1:
        raise Refusal(f"it has several channels of {layout.bits} bits; save it as 8-bit RGB")
    if layout.reversed_bits and (layout.bits > 1 or layout.compression != _NONE):
        raise Refusal("it has reversed bits (FillOrder 2); save it without")
    differences = layout.predictor == 2 and layout.bits >= 8
    if layout.predictor != 1 and (
        layout.compression in (_NONE, _JPEG, _WEBP)
        or not (differences or (layout.predictor == 3 and layout.kind == "float"))
    ):
        raise Refusal(
            f"its predictor {layout.predictor} does not fit its pixels or its compression; "
            "save it anew without a predictor"
        )
    if layout.photometric == _WHITE_IS_ZERO and layout.kind == "float":
        raise Refusal("its zero means white, which is only clear for integers")
    if layout.compression in (_JPEG, _WEBP) and (
        kind != "uint8"
        or layout.planes not in ((1, 3) if layout.compression == _JPEG else (3, 4))
        or (layout.planar and layout.photometric == _YCBCR)
    ):
        raise Refusal(
            f"it holds {layout.samples} channels of {kind} in JPEG or WebP; save it with LZW, "
            "Deflate or none"
        )


def _check_ycbcr(page: Directory) -> None:
    """Refuse what the conversion of JPEG does not do."""
    if Tag.YCBCR_COEFFICIENTS in page and not np.allclose(
        page.fractions(Tag.YCBCR_COEFFICIENTS), (0.299, 0.587, 0.114), atol=1e-3
    ):
        raise Refusal("its YCBCR colours have coefficients of their own; convert it to RGB first")
    if Tag.REFERENCE_BLACK_WHITE in page and not np.allclose(
        page.fractions(Tag.REFERENCE_BLACK_WHITE), (0, 255, 128, 255, 128, 255), atol=0.6
    ):
        raise Refusal("its YCBCR colours have a range of their own; convert it to RGB first")


def _checked_alpha(page: Directory, layout: _Layout) -> int:
    """Return what the last channel is: 0 a colour, 1 alpha that multiplies colours, 2 alpha."""
    if layout.samples in (1, 3):
        return 0
    if layout.photometric in (_PALETTE, _YCBCR):
        raise Refusal(f"it has {layout.samples} channels; save it as grey, RGB or RGBA")
    kinds = page.numbers(Tag.EXTRA_SAMPLES)
    if len(kinds) != 1 or kinds[0] not in (1, 2):
        raise Refusal(
            "it does not say what its last channel is (ExtraSamples); save it without, or with "
            "alpha"
        )
    return int(kinds[0])


def _segments(
    page: Directory, layout: _Layout, limits: Limits
) -> Iterator[tuple[int, int, int, int, int]]:
    """Return plane, top, left, place in the file and size of each strip or tile."""
    planes, down, across = layout.grid
    number = planes * down * across
    unpacked = number * layout.rows * layout.row_bytes()
    if number > (_MOST_FILES if layout.compression in (_JPEG, _WEBP) else MOST_SEGMENTS):
        raise Refusal(f"it consists of {number:,} strips or tiles; save it with larger ones")
    if layout.rows * down * layout.columns * across > 4 * layout.width * layout.height + 2**22:
        raise damaged(f"tiles of {layout.columns} x {layout.rows} for a far smaller image")
    tags = (Tag.STRIP_OFFSETS, Tag.STRIP_BYTE_COUNTS)
    if layout.tiled:
        tags = (Tag.TILE_OFFSETS, Tag.TILE_BYTE_COUNTS)
    offsets, counts = (page.numbers(tag, MOST_SEGMENTS) for tag in tags)
    if len(offsets) != number or len(counts) != number:
        raise damaged(f"it has {len(offsets)} of {number} strips or tiles")
    size = page.structure.size
    if (offsets == 0).any() or (counts == 0).any():
        raise damaged("some of its strips or tiles are missing")
    if (offsets >= size).any() or (counts > size - offsets).any():
        raise damaged("some of its strips or tiles lie outside the file")
    packed = int(counts.sum())
    if packed > size:
        raise damaged("its strips or tiles overlap")
    limits.check_expansion(unpacked, packed)
    places = (
        (plane, top, left)
        for plane in range(planes)
        for top in range(0, layout.height, layout.rows)
        for left in range(0, layout.width, layout.columns)
    )
    return (
        (*place, offset, count)
        for place, offset, count in zip(places, offsets.tolist(), counts.tolist(), strict=True)
    )


def _segment(layout: _Layout, rows: int, data: bytes, limits: Limits) -> NDArray[Any]:
    """Return the pixels of one strip or tile, of shape (rows, columns, planes)."""
    if layout.compression == _JPEG:
        heights = (rows,) if layout.tiled else (rows, layout.rows)  # the last strip may be whole
        colours = None
        if layout.planes == 3:
            colours = "YCBCR" if layout.photometric == _YCBCR else "RGB"
        if layout.tables is not None:
            data = layout.tables[:-2] + data[2:]
        pixels = jpeg_pixels(data, layout.columns, heights, colours, limits)
        return pixels.reshape(-1, layout.columns, layout.planes)
    if layout.compression == _WEBP:
        pixels = webp_pixels(data, layout.columns, rows, limits)
        if pixels.shape[2] != layout.planes:
            raise damaged(f"WebP data of {pixels.shape[2]} channels")
        return pixels
    size = rows * layout.row_bytes()
    unpacked: bytes | bytearray = data[:size]
    if layout.compression != _NONE:
        # the last strip may be as long as the others
        unpacked = _UNPACK[layout.compression](data, layout.rows * layout.row_bytes())
    if len(unpacked) < size:
        raise damaged(f"a strip or tile ends {size - len(unpacked):,} bytes too early")
    values = np.frombuffer(unpacked, np.uint8, size).reshape(rows, -1)
    if layout.bits < 8:
        return _low_bits(values, layout)[..., np.newaxis]
    if layout.predictor == 3:
        return _floats(values, layout)
    stored = values.view(layout.dtype.newbyteorder(layout.order))
    samples = stored.reshape(rows, layout.columns, layout.planes)
    if layout.predictor == 2:
        whole = np.dtype(f"uint{layout.bits}")
        differences = samples.astype(layout.dtype, copy=False).view(whole)
        return np.cumsum(differences, axis=1, dtype=whole).view(layout.dtype)
    return samples


def _low_bits(values: NDArray[np.uint8], layout: _Layout) -> NDArray[np.uint8]:
    if layout.bits == 1:
        return np.unpackbits(
            values,
            axis=1,
            count=layout.columns,
            bitorder="little" if layout.reversed_bits else "big",
        )
    shifts = np.arange(8 - layout.bits, -1, -layout.bits, dtype=np.uint8)
    parts = (values[..., np.newaxis] >> shifts) & np.uint8(2**layout.bits - 1)
    return np.asarray(parts.reshape(len(values), -1)[:, : layout.columns])


def _floats(values: NDArray[np.uint8], layout: _Layout) -> NDArray[Any]:
    """Undo the predictor for floats (TIFF technical note 3)."""
    rows, size = len(values), layout.dtype.itemsize
    steps = values.reshape(rows, -1, layout.planes)
    # all highest bytes of a row come first, whatever the order of bytes in the file
    parts = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(rows, size, -1)
    stored = np.ascontiguousarray(parts.transpose(0, 2, 1)).view(layout.dtype.newbyteorder(">"))
    return stored.reshape(rows, layout.columns, layout.planes)


def _inflate(data: bytes, most: int) -> bytes:
    stream = zlib.decompressobj()
    unpacked = stream.decompress(data, most)
    # the checksum is behind the last byte
    if not stream.eof and (stream.decompress(stream.unconsumed_tail, 1) or not stream.eof):
        raise damaged("a strip or tile of another length than told")
    return unpacked


def _unpack_lzma(data: bytes, most: int) -> bytes:
    stream = lzma.LZMADecompressor(memlimit=128 * 2**20)
    unpacked = stream.decompress(data, most)
    if not stream.eof and (stream.decompress(b"", 1) or not stream.eof):
        raise damaged("a strip or tile of another length than told")
    return unpacked


_UNPACK: dict[int, Callable[[bytes, int], bytes | bytearray]] = {
    _LZW: lambda data, most: imagecodecs.lzw_decode(data, out=most),
    8: _inflate,
    32946: _inflate,
    32773: lambda data, most: imagecodecs.packbits_decode(data, out=most),
    34925: _unpack_lzma,
    50000: lambda data, most: imagecodecs.zstd_decode(data, out=most),
}


def _colours(page: Directory, layout: _Layout) -> NDArray[Any]:
    """Return the palette: of 8 bits where it says the same with them, else of 16."""
    number = 2**layout.bits
    if layout.kind != "uint" or layout.bits > 8:
        raise Refusal("its palette is of 16 bits; convert it to RGB first")
    values = page.numbers(Tag.COLOR_MAP, 3 * number)
    if len(values) != 3 * number:
        raise damaged(f"its palette has {len(values)} of {3 * number} values")
    colours = values.astype(np.uint16).reshape(3, number).T
    high, low = colours >> 8, colours & 255
    if not high.any() and low.any():
        raise Refusal(
            "its palette is almost black if it has 16 bits, as the standard says, and may be "
            "meant to have eight; convert it to RGB first"
        )
    if (low == high).all() or not low.any():
        return high.astype(np.uint8)
    return colours


def _finished(
    pixels: NDArray[Any], layout: _Layout, colours: NDArray[Any] | None, alpha: int
) -> NDArray[Any]:
    if colours is not None:
        return np.asarray(colours[pixels[..., 0]])
    if layout.bits < 8:
        pixels *= np.uint8(255 // (2**layout.bits - 1))
    if layout.kind == "float" and layout.bits == 16:
        pixels = pixels.astype(np.float32)
    most = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    if alpha == 1 and not (pixels[..., -1] == most).all():
        raise Refusal(
            "its colours are multiplied by its alpha (ExtraSamples 1), which cannot be undone "
            "exactly; save it with straight alpha"
        )
    if layout.photometric == _WHITE_IS_ZERO:
        np.subtract(most, pixels[..., 0], out=pixels[..., 0])
    if layout.samples == 1:
        return pixels[..., 0]
    return pixels[..., [0, 0, 0, 1]] if layout.samples == 2 else pixels
