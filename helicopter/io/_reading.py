"""Reading images and masks: the size first, then the pixels, then the right way up."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from helicopter._messages import shown
from helicopter._shared.checks import is_integer
from helicopter._shared.interruptible import interruptible
from helicopter.errors import InvalidImageError, InvalidMaskError, InvalidOptionError

from ._decoding import decode
from ._limits import Decoded, Limits, Refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "LoadedImage",
    "read_image",
    "read_mask",
    "sample_image",
    "sample_path",
]

DEFAULT_MAX_PIXELS = 512_000_000
"""Larger images are refused unless asked for: 512 megapixels of RGB are 6 GB as float32."""


_GREY_MASK = "save it as a grey image, black where visible and white where hidden"


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """An image as it came from a file.

    Attributes
    ----------
    pixels : ndarray of shape (H, W), (H, W, 3) or (H, W, 4)
        uint8 or uint16; float32 or float64 from a TIFF. The right way up.
    path : Path
    format : str
        ``"PNG"``, ``"JPEG"``, ``"TIFF"`` or ``"WEBP"``.
    icc_profile : bytes or None
        What the colour values mean; `write_image` takes it.
    """

    pixels: NDArray[Any]
    path: Path
    format: str
    icc_profile: bytes | None = None


def read_image(
    path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> LoadedImage:
    """Read a PNG, JPEG, TIFF or WebP file, its dtype kept.

    Parameters
    ----------
    path : str or path-like
        What the file is, its content tells; the suffix is not looked at.
    max_pixels : int, default 512 million
        The size is read from the header, and a larger image refused before any pixel is decoded:
        a few kilobytes can unpack to more than the memory holds. For the same reason a file is
        refused that would unpack to more than 256 MiB and 2000 times its own size.

    Returns
    -------
    LoadedImage
        8- and 16-bit grey, RGB and RGBA stay as they are, floats in a TIFF too (half precision
        becomes float32). Grey of 1, 2 and 4 bits becomes uint8 over the full range (two bits: 0,
        85, 170, 255), whatever white is in a TIFF. Palettes become RGB (of 16 bits in a TIFF where
        the palette needs them), grey with alpha RGBA. The orientation stored by a camera (EXIF, or
        the TIFF tag) is applied.

    Raises
    ------
    InvalidImageError
        If there is no readable single image of at most `max_pixels` pixels, or if the file is not
        whole: cut off, a checksum wrong, strips missing. CMYK, CIELAB, colours multiplied by their
        alpha, other dtypes, animations, stacks of pages and raw files are refused: a guess at what
        is meant would change the values that are to be analysed.

    Notes
    -----
    Only the named file is opened, whatever its metadata name. A TIFF may be stored in strips or
    tiles, with LZW, Deflate, PackBits, Zstandard, LZMA, JPEG, WebP or no compression; previews
    beside the image are passed by. JPEG may be sequential or progressive, of 8 bits.
    A file is decoded in a thread of its own if this is the main thread, so that Ctrl-C works at
    once.
    """
    given: object = max_pixels  # a caller may pass anything
    if not is_integer(given) or max_pixels < 1:
        raise InvalidOptionError(f"max_pixels must be a positive integer, got {shown(given)}")
    checked = _checked_path(path)
    named = repr(os.fspath(path))
    try:
        with _opened(checked) as file:
            limits = Limits(int(max_pixels))
            # codecs do not look up from their work
            name, decoded = interruptible(lambda: _decoded(file, limits))
    except Refusal as refusal:
        raise InvalidImageError(f"cannot read {named}: {refusal}") from refusal.__cause__
    except FileNotFoundError as error:
        raise InvalidImageError(f"cannot read {named}: no such file; check the path") from error
    except PermissionError as error:
        raise InvalidImageError(
            f"cannot read {named}: permission denied; check who may read it"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidImageError(f"cannot read {named}: {reason}; check the path") from error
    return LoadedImage(decoded.pixels, checked, name, decoded.icc_profile)


def read_mask(
    path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> NDArray[np.bool_]:
    """Read a mask: ``True`` (hidden, to be predicted) wherever the file is not zero (not black).

    Parameters
    ----------
    path : str or path-like
        A grey file of 1, 8 or 16 bits (or floats), or a colour file that holds only greys, as
        painting programs write them; opaque, if it has an alpha channel. JPEG and WebP may hold
        nothing but black and white, since lossy compression turns black into almost black.
    max_pixels : int, default 512 million
        As in `read_image`.

    Returns
    -------
    bool ndarray of shape (H, W)

    Raises
    ------
    InvalidMaskError
        If the file cannot be read or leaves open what is hidden.
    """
    try:
        loaded = read_image(path, max_pixels=max_pixels)
    except InvalidImageError as error:
        raise InvalidMaskError(str(error)) from error
    named = repr(os.fspath(path))
    pixels = loaded.pixels
    if pixels.ndim == 3:
        if pixels.shape[2] == 4:
            opaque = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
            if not (pixels[..., 3] == opaque).all():
                raise InvalidMaskError(
                    f"cannot read {named} as a mask: it is partly transparent, which leaves open "
                    f"what is hidden; {_GREY_MASK}"
                )
        if not (pixels[..., :1] == pixels[..., 1:3]).all():
            raise InvalidMaskError(f"cannot read {named} as a mask: it has colours; {_GREY_MASK}")
        pixels = pixels[..., 0]
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise InvalidMaskError(f"cannot read {named} as a mask: it holds NaN or infinity")
    if loaded.format in ("JPEG", "WEBP") and not ((pixels == 0) | (pixels == 255)).all():
        raise InvalidMaskError(
            f"cannot read {named} as a mask: {loaded.format} compression has blurred it (it holds "
            "values besides black and white); save the mask as PNG"
        )
    return np.asarray(pixels != 0, dtype=np.bool_)


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo one of the eight EXIF orientations; what is not one of them counts as upright."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _checked_path(path: str | os.PathLike[str]) -> Path:
    given: object = path  # a caller may pass anything
    if not isinstance(given, (str, Path)):
        raise InvalidOptionError(f"path must be a str or a Path, got {type(path).__name__}")
    return Path(path)


def _opened(path: Path) -> BinaryIO:
    """Open a regular file; never wait for a pipe that takes its name between two looks."""
    _check_regular(path.stat())  # to open a device can already do something
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    try:
        _check_regular(os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise Refusal("it is a folder; name the image inside it")
    if not stat.S_ISREG(status.st_mode):
        raise Refusal("it is not a regular file")
    if status.st_size == 0:
        raise Refusal("the file is empty")


def _decoded(file: BinaryIO, limits: Limits) -> tuple[str, Decoded]:
    name, decoded = decode(file, limits)
    return name, replace(decoded, pixels=upright(decoded.pixels, decoded.orientation))


def sample_path() -> Path:
    """Return the path of the sample photograph (CC0, an espresso cup on a wooden table)."""
    return Path(__file__).resolve().parent.parent / "data" / "coffee.png"


def sample_image() -> NDArray[np.uint8]:
    """Return the sample photograph: uint8 RGB of shape (400, 600, 3)."""
    return read_image(sample_path()).pixels
