"""Writing images: what a format cannot hold is refused before anything is written."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import tifffile
from PIL import Image

from helicopter._shared.interruptible import interruptible
from helicopter.errors import InvalidImageError, InvalidOptionError

from ._atomic import atomic_open, checked_target, real_path
from ._png_writing import write_png16

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["check_writable", "write_image"]

_JPEG_QUALITY = 95


@dataclass(frozen=True)
class _Format:
    name: str
    dtypes: tuple[str, ...]
    alpha: bool
    longest_side: int
    encode: Callable[[BinaryIO, NDArray[Any], bytes | None], None]


def check_writable(path: str | os.PathLike[str], array: NDArray[Any]) -> None:
    """Raise what `write_image` would raise for these, and write nothing.

    For long computations, whose result should not turn out unwritable at the end.
    """
    _prepared(path, array)


def write_image(
    path: str | os.PathLike[str], array: NDArray[Any], *, icc_profile: bytes | None = None
) -> None:
    """Write an image, completely or not at all.

    Parameters
    ----------
    path : str or path-like
        The suffix names the format. ``.png`` holds uint8 and uint16, ``.tif`` and ``.tiff`` also
        float32 and float64, ``.webp`` (written without loss; grey becomes RGB) and ``.jpg`` or
        ``.jpeg`` (with loss, quality 95, no alpha) only uint8.
    array : ndarray of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)
        bool is written as uint8 of 0 and 255.
    icc_profile : bytes, optional
        Written along, so that the colours mean what they meant where the image was read.

    Raises
    ------
    InvalidOptionError
        If the suffix is unknown, the format cannot hold the array, or nothing can be written
        there. Raised before anything is written.
    InvalidImageError
        If the array is not an image.
    OSError
        If the disk fails; the old file, if there was one, is untouched.
    """
    given: object = icc_profile  # a caller may pass anything
    if not (given is None or isinstance(given, bytes)):
        raise InvalidOptionError(
            f"icc_profile must be bytes or None, got {type(icc_profile).__name__}"
        )
    kind, pixels = _prepared(path, array)
    with atomic_open(path) as file:
        kind.encode(file, pixels, icc_profile)


def _prepared(path: str | os.PathLike[str], array: NDArray[Any]) -> tuple[_Format, NDArray[Any]]:
    real_path(path)  # or it says why there is none
    shown = repr(os.fspath(path))
    kind = _FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        raise InvalidOptionError(
            f"cannot write {shown}: the suffix names no known format; "
            f"use one of {', '.join(sorted(_FORMATS))}"
        )
    pixels = _image_array(array)
    dtype, (height, width) = pixels.dtype.name, pixels.shape[:2]
    if dtype not in kind.dtypes:
        able = [s for s in (".png", ".tif") if dtype in _FORMATS[s].dtypes]
        raise InvalidOptionError(
            f"cannot write {shown}: {kind.name} does not hold {dtype}; use {' or '.join(able)}"
        )
    if pixels.ndim == 3 and pixels.shape[2] == 4 and not kind.alpha:
        raise InvalidOptionError(
            f"cannot write {shown}: {kind.name} has no alpha channel; use .png, .tif or .webp"
        )
    if max(height, width) > kind.longest_side:
        raise InvalidOptionError(
            f"cannot write {shown}: {width} x {height} pixels are more than {kind.name} holds "
            f"({kind.longest_side} a side); use .png or .tif"
        )
    checked_target(path)
    return kind, pixels


def _image_array(array: NDArray[Any]) -> NDArray[Any]:
    if not isinstance(array, np.ndarray):
        raise InvalidImageError(f"array must be a NumPy array, got {type(array).__name__}")
    pixels = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise InvalidImageError(
            f"array must have shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {array.shape}"
        )
    if pixels.size == 0:
        raise InvalidImageError(f"array has no pixels: its shape is {array.shape}")
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.name not in ("uint8", "uint16", "float32", "float64"):
        raise InvalidImageError(
            f"array must be of dtype uint8, uint16, bool, float32 or float64, got {array.dtype}"
        )
    # codecs read memory in the machine's own byte order
    return np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))


def _write_png(file: BinaryIO, pixels: NDArray[Any], icc_profile: bytes | None) -> None:
    if pixels.dtype == np.uint8:
        Image.fromarray(pixels).save(file, "PNG", icc_profile=icc_profile)
    else:
        write_png16(file, pixels, icc_profile)


def _write_jpeg(file: BinaryIO, pixels: NDArray[Any], icc_profile: bytes | None) -> None:
    # given a real file, Pillow's encoder writes past Python and reports a full disk as "error -2"
    options = {"quality": _JPEG_QUALITY, "subsampling": 0, "icc_profile": icc_profile}
    file.write(_encoded(pixels, "JPEG", **options))


def _write_webp(file: BinaryIO, pixels: NDArray[Any], icc_profile: bytes | None) -> None:
    # exact: colours under transparent pixels are data too; quality: of the search, where more than
    # this takes half as long again and finds nothing
    options = {"lossless": True, "exact": True, "quality": 25, "icc_profile": icc_profile or b""}
    file.write(_encoded(pixels, "WEBP", **options))


def _encoded(pixels: NDArray[Any], kind: str, **options: Any) -> memoryview:
    """Encode in memory: libraries that do so in one go can then be left to themselves by Ctrl-C."""
    buffer = io.BytesIO()
    interruptible(lambda: Image.fromarray(pixels).save(buffer, kind, **options))
    return buffer.getbuffer()


def _write_tiff(file: BinaryIO, pixels: NDArray[Any], icc_profile: bytes | None) -> None:
    tifffile.imwrite(
        file,
        pixels,
        photometric="minisblack" if pixels.ndim == 2 else "rgb",
        extrasamples=["unassalpha"] if pixels.ndim == 3 and pixels.shape[2] == 4 else None,
        compression="zlib",
        iccprofile=icc_profile,
        metadata=None,
        software=False,
    )


_PNG = _Format("PNG", ("uint8", "uint16"), True, 1_000_000, _write_png)
_JPEG = _Format("JPEG", ("uint8",), False, 65_500, _write_jpeg)
_TIFF = _Format("TIFF", ("uint8", "uint16", "float32", "float64"), True, 2**31 - 1, _write_tiff)
_WEBP = _Format("WebP", ("uint8",), True, 16_383, _write_webp)
_FORMATS = {
    ".png": _PNG,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": _WEBP,
}
