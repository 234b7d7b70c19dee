"""Files that a command writes beside its table: maps and figures of one image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter.errors import InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["MAP_SUFFIXES", "PICTURE_SUFFIXES", "check_output"]

MAP_SUFFIXES = (".tif", ".tiff", ".png")
PICTURE_SUFFIXES = (".png",)


def check_output(
    file: Path | None,
    option: str,
    images: Sequence[Path],
    *others: Path | None,
    suffixes: Sequence[str] = MAP_SUFFIXES,
) -> None:
    """Refuse what could not be written, before anything is computed.

    Parameters
    ----------
    file : Path or None
        What is to be written; None: nothing is.
    option : str
        Which option named it.
    images : sequence of Path
        The images of the command, of which there may be one only.
    *others : Path or None
        What else the command reads, or writes.
    suffixes : sequence of str
        Those that can be written.

    Raises
    ------
    InvalidOptionError, OSError
    """
    from helicopter.io import check_writable

    if file is None:
        return
    given = f"{option} {str(file)!r}"
    if len(images) > 1:
        raise InvalidOptionError(
            f"{given}: holds the {option.lstrip('-')} of one image, and {len(images)} are named; "
            "run the command for each"
        )
    if file.suffix.lower() not in suffixes:
        how = "use .tif for numbers or .png for a picture" if ".tif" in suffixes else "use .png"
        raise InvalidOptionError(f"{given}: {how}")
    for path in (*images, *(other for other in others if other is not None)):
        if file.exists() and path.exists() and file.samefile(path):
            raise InvalidOptionError(
                f"cannot write {str(file)!r}: it is one of the inputs; choose another name"
            )
    check_writable(file.with_suffix(".tif"), np.zeros((1, 1), np.float32))
