"""The files that a command writes: maps and figures, and a folder of results for each image."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

from helicopter._version import __version__
from helicopter.errors import InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "MAP_SUFFIXES",
    "PICTURE_SUFFIXES",
    "check_inputs_stay",
    "check_output",
    "folder_names",
    "make_folder",
    "remove_earlier",
    "results_in",
    "write_figure",
    "write_json",
    "write_map",
]

MAP_SUFFIXES = (".tif", ".tiff", ".png")
PICTURE_SUFFIXES = (".png",)

_PLOTS = (
    "original",
    "what-was-shown",
    "uncertainty",
    "error",
    "quality",
    "overview",
    "noise",
    "segments",
    "anomalies",
    "verification",
)
#: All that a run may write into an image's folder.
_KNOWN_FILES = (
    "report.html",
    "figures.json",
    *(f"{plot}.png" for plot in _PLOTS),
    *(f"reconstruction{suffix}" for suffix in (".png", ".tif", ".webp")),
)


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
    import numpy as np

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
    check_inputs_stay(file, *images, *others)
    check_writable(file.with_suffix(".tif"), np.zeros((1, 1), np.float32))


def check_inputs_stay(file: Path, *inputs: Path | None) -> None:
    """Refuse to write over what is read: the original would be gone for good.

    Raises
    ------
    InvalidOptionError
    """
    for path in inputs:
        if path is not None and file.exists() and path.exists() and file.samefile(path):
            raise InvalidOptionError(
                f"cannot write {str(file)!r}: it is one of the inputs; choose another name"
            )


def write_map(path: Path, values: NDArray[np.float32], draw: Callable[[], Figure]) -> None:
    """Write a map as numbers or, where the suffix says so, as the picture that `draw` makes."""
    from helicopter.io import write_image

    if path.suffix.lower() in PICTURE_SUFFIXES:
        write_figure(path, draw())
    else:
        write_image(path, values)


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG."""
    from helicopter.io import atomic_open

    with atomic_open(path) as file:
        figure.savefig(file, format="png")


def write_json(path: Path, entry: Mapping[str, Any]) -> None:
    """Write what was found out about one image."""
    from helicopter.io import atomic_open

    with atomic_open(path) as file:
        text = json.dumps({"version": __version__, **entry}, indent=2, allow_nan=False)
        file.write(text.encode("ascii"))


def make_folder(output: Path) -> None:
    """Make the folder of all results, or say why not."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidOptionError(
            f"cannot make the folder {str(output)!r}: {error.strerror}; choose another with -o"
        ) from error


@contextlib.contextmanager
def results_in(folder: Path) -> Iterator[None]:
    """Make the folder of one image; if nothing gets written there, it goes again."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:  # Ctrl-C as well
        with contextlib.suppress(OSError):
            folder.rmdir()  # which works only if it is empty
        raise


def remove_earlier(folder: Path, keep: Sequence[Path | None]) -> None:
    """Remove what an earlier run has left, which may be of another image of the same name.

    Not before the first new file is there: with a full disk the old results stay.
    """
    kept = {path.resolve() for path in keep if path is not None}
    for name in _KNOWN_FILES:
        old = folder / name
        if old.is_file() and old.resolve() not in kept:
            old.unlink()


def folder_names(paths: Sequence[Path]) -> list[str]:
    """Name a folder for each image: its stem, made safe, and numbered where stems are alike."""
    names: list[str] = []
    taken: set[str] = set()
    for path in paths:
        # what is special to some file system or shell becomes an underscore
        stem = re.sub(r"[^\w .+=@-]", "_", path.stem.encode("utf-8", "replace").decode("utf-8"))
        stem = stem[:60].strip(" .-") or "image"
        name, number = stem, 1
        while name.casefold() in taken:  # some file systems do not tell a from A
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names
