"""One decoder a format. Each tells the size to `check_size` before it decodes a pixel."""

from __future__ import annotations

import logging
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import imagecodecs
import numpy as np
import tifffile
from PIL import ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DECODERS", "Decoded", "Refusal", "sniff"]

CheckSize = Callable[[int, int], None]

_ORIENTATION = 0x0112

# these log a file's oddities; without any handler Python would print them on stderr
for _name in ("tifffile", "imagecodecs"):
    logging.getLogger(_name).addHandler(logging.NullHandler())


class Refusal(Exception):
    """Why a file cannot be read; the caller adds its name."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """Pixels as stored, and how to turn them upright."""

    pixels: NDArray[Any]
    orientation: int = 1
    icc_profile: bytes | None = None


def sniff(head: bytes) -> str | None:
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


_quiet_lock = threading.Lock()


@contextmanager
def _speaking_plainly() -> Iterator[None]:
    """Turn whatever a decoder throws at a broken file into a `Refusal`, and its warnings off."""
    try:
        # the warning filters belong to the whole process: two readers must not interleave
        with _quiet_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (Refusal, MemoryError):
        raise
    except Exception as error:
        # decoders raise almost anything on hostile bytes (SyntaxError, struct.error, KeyError...)
        raise Refusal(
            f"the file is damaged or incomplete ({error}); fetch or export it again"
        ) from error


def _pillow(image: ImageFile.ImageFile, check_size: CheckSize) -> Decoded:
    """Decode what a Pillow plugin has opened.

    The plugin classes are used directly: ``PIL.Image.open`` would apply its own, process-wide
    limit on the size, and try forty formats that nobody asked for.
    """
    check_size(*image.size)
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise Refusal(f"it is an animation of {frames} frames; save the one you mean as a still")
    orientation = image.getexif().get(_ORIENTATION, 1)
    icc_profile = image.info.get("icc_profile")
    mode, transparent = image.mode, "transparency" in image.info
    if mode in ("CMYK", "YCbCr", "LAB"):
        raise Refusal(f"its colours are {mode}; convert it to RGB (or grey) first")
    if mode == "P":
        picture = image.convert("RGBA" if transparent else "RGB")
    elif mode == "1":
        picture = image.convert("L")
    elif mode == "LA" or (transparent and mode in ("L", "RGB")):
        picture = image.convert("RGBA")
    elif mode in ("L", "RGB", "RGBA"):
        image.load()
        picture = image
    else:
        raise Refusal(f"its pixels are of Pillow's mode {mode!r}; save it as 8-bit or 16-bit RGB")
    return Decoded(np.asarray(picture), orientation, icc_profile)


def _png(file: BinaryIO, check_size: CheckSize) -> Decoded:
    with _speaking_plainly():
        header = file.read(33)
        width, height, bits = struct.unpack(">IIB", header[16:25])
        check_size(width, height)
        file.seek(0)
        image = PngImagePlugin.PngImageFile(file)
        if bits != 16:
            return _pillow(image, check_size)
        if getattr(image, "n_frames", 1) > 1:
            raise Refusal("it is an animation; save the frame you mean as a still")
        orientation = image.getexif().get(_ORIENTATION, 1)
        icc_profile = image.info.get("icc_profile")
        file.seek(0)
        # Pillow reads 16-bit colour as 8-bit colour
        pixels = imagecodecs.png_decode(file.read())
        if pixels.ndim == 3 and pixels.shape[2] == 2:
            pixels = pixels[..., [0, 0, 0, 1]]
        return Decoded(pixels, orientation, icc_profile)


def _jpeg(file: BinaryIO, check_size: CheckSize) -> Decoded:
    with _speaking_plainly():
        return _pillow(JpegImagePlugin.JpegImageFile(file), check_size)


def _webp(file: BinaryIO, check_size: CheckSize) -> Decoded:
    with _speaking_plainly():
        # Pillow's plugin makes room for the whole canvas as soon as it opens the file
        check_size(*_webp_size(file.read(30)))
        file.seek(0)
        return _pillow(WebPImagePlugin.WebPImageFile(file), check_size)


def _webp_size(head: bytes) -> tuple[int, int]:
    """Read the canvas size from a WebP header (RFC 9649, sections 2.5 to 2.7)."""
    kind = head[12:16]
    if kind == b"VP8X":
        return (
            int.from_bytes(head[24:27], "little") + 1,
            int.from_bytes(head[27:30], "little") + 1,
        )
    if kind == b"VP8L":
        packed = int.from_bytes(head[21:25], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise Refusal("its WebP header is damaged")


def _tiff(file: BinaryIO, check_size: CheckSize) -> Decoded:
    with _speaking_plainly(), tifffile.TiffFile(file) as tiff:
        page = tiff.pages.first
        check_size(page.imagewidth, page.imagelength)
        # cameras add previews, which say of themselves that they are reduced
        pages = 1 if len(tiff.pages) == 1 else sum(not p.aspage().is_reduced for p in tiff.pages)
        pages = max(pages, int(np.prod(tiff.series[0].shape)) // max(1, int(np.prod(page.shape))))
        if pages > 1:
            raise Refusal(f"it is a stack of {pages} pages; save the one you mean by itself")
        icc_profile = page.tags.valueof(34675)
        orientation = page.tags.valueof(274, 1)
        return Decoded(_tiff_pixels(page), orientation, icc_profile)


def _tiff_pixels(page: Any) -> NDArray[Any]:
    photometric = page.photometric.name if page.photometric is not None else "MINISBLACK"
    if photometric not in ("MINISBLACK", "MINISWHITE", "RGB", "PALETTE", "YCBCR"):
        raise Refusal(f"its colours are {photometric}; convert it to RGB (or grey) first")
    if photometric == "YCBCR" and page.compression.name not in ("JPEG", "OJPEG"):
        raise Refusal("its colours are YCBCR; convert it to RGB (or grey) first")
    dtype = np.dtype(page.dtype) if page.dtype is not None else None
    if dtype not in (bool, np.uint8, np.uint16, np.float16, np.float32, np.float64):
        raise Refusal(f"its pixels are {dtype}; save them as uint8, uint16 or float32")
    if page.samplesperpixel not in (1, 2, 3, 4) or page.axes not in ("YX", "YXS", "SYX"):
        raise Refusal(
            f"it has {page.samplesperpixel} channels (axes {page.axes}); "
            "save it as grey, RGB or RGBA"
        )
    pixels = page.asarray()
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, 2)
    if photometric == "PALETTE":
        # TIFF palettes have 16 bits, of which nearly all files use eight
        colours = np.moveaxis(page.colormap, 0, 1)
        return np.asarray((colours >> 8).astype(np.uint8)[pixels])
    if dtype is not None and dtype.kind == "b":
        pixels = pixels.astype(np.uint8) * 255
    if dtype == np.float16:
        pixels = pixels.astype(np.float32)
    if photometric == "MINISWHITE":
        pixels = _inverted(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 2:
        pixels = pixels[..., [0, 0, 0, 1]]
    return np.asarray(pixels)


def _inverted(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.dtype.kind != "u" or pixels.ndim != 2:
        raise Refusal("its zero means white, which is only clear for plain grey integers")
    return np.iinfo(pixels.dtype).max - pixels


DECODERS: dict[str, Callable[[BinaryIO, CheckSize], Decoded]] = {
    "PNG": _png,
    "JPEG": _jpeg,
    "TIFF": _tiff,
    "WEBP": _webp,
}
