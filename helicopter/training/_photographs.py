"""A folder of photographs to train on: found, checked, and read into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter.core.validation import prepare_image
from helicopter.errors import HelicopterError, InvalidImageError, InvalidOptionError
from helicopter.io import DEFAULT_MAX_PIXELS, read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["LEAST_SIDE", "SUFFIXES", "find_photographs", "hold_out", "read_photographs"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
#: Side of the smallest crops that are trained on.
LEAST_SIDE = 96
#: If no image has more than this (standard deviation, of the range), there is nothing to learn.
LEAST_CONTRAST = 0.03
#: Of so many photographs one is kept out, for the calibration.
ONE_IN = 10


def find_photographs(folder: Path) -> list[Path]:
    """Return the image files of a folder, by name; its subfolders are left alone.

    Raises
    ------
    InvalidOptionError
        If `folder` is no folder that can be read, or holds no image.
    """
    try:
        entries = sorted(folder.iterdir())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no folder can have that name"
        raise InvalidOptionError(
            f"cannot read the folder {str(folder)!r}: {reason}; name a folder of images"
        ) from error
    found = [
        path
        for path in entries
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not found:
        raise InvalidOptionError(
            f"the folder {str(folder)!r} holds no images (PNG, JPEG, TIFF or WebP); images in "
            "folders inside it are not looked for"
        )
    return found


def hold_out(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Split into photographs to train on and, every tenth, to calibrate on.

    Raises
    ------
    InvalidOptionError
        If there is only one: nothing would be left to learn from, or to judge by.
    """
    if len(paths) < 2:
        raise InvalidOptionError(
            "one photograph is not enough, because calibration needs another than training; add "
            "photographs, or name some with --validation FOLDER"
        )
    # the last of each ten, and with fewer than ten the last of all
    chosen = set(range(ONE_IN - 1, len(paths), ONE_IN)) or {len(paths) - 1}
    kept = [path for number, path in enumerate(paths) if number not in chosen]
    return kept, [paths[number] for number in sorted(chosen)]


def read_photographs(
    paths: Sequence[Path],
    data_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[NDArray[np.uint8]]:
    """Read photographs as 8-bit RGB; grey ones get three equal channels, alpha is left out.

    Parameters
    ----------
    paths : sequence of Path
    data_range : (float, float), optional
        The values of black and white, as the engines take it.
    max_pixels : int, optional
        Larger files are refused.
    progress : callable, optional
        Called with (done, total).

    Raises
    ------
    InvalidImageError
        If a file cannot be read or is smaller than 96 pixels on a side (the text names it), or if
        all are nearly flat.
    """
    photographs = []
    flat = True
    for done, path in enumerate(paths, start=1):
        loaded = read_image(path, max_pixels=max_pixels or DEFAULT_MAX_PIXELS)
        try:
            pixels = prepare_image(loaded.pixels, data_range=data_range, complete=True)[0].pixels
        except HelicopterError as error:
            raise type(error)(f"{str(path)!r}: {error}") from error
        height, width, channels = pixels.shape
        if min(height, width) < LEAST_SIDE:
            raise InvalidImageError(
                f"{str(path)!r} is {width} x {height} pixels; at least {LEAST_SIDE} on each side "
                "are needed to train. Move it out of the folder"
            )
        if channels == 1:
            pixels = pixels.repeat(3, axis=2)
        if pixels.std() > LEAST_CONTRAST:
            flat = False
        photographs.append(np.ascontiguousarray(pixels * 255 + np.float32(0.5), dtype=np.uint8))
        if progress is not None:
            progress(done, len(paths))
    if flat:
        raise InvalidImageError(
            f"all {len(paths)} images are almost of one shade, as they were read. If their values "
            "use only part of what their type can hold, as 12-bit data in 16 bits do, give "
            "data_range=(low, high)"
        )
    return photographs
