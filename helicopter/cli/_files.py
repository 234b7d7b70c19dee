"""The files that a command writes: maps and figures, and a folder of results for each image."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

from helicopter._version import __version__
from helicopter.errors import InvalidOptionError

from ._distinct import Output, is_one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "MAP_SUFFIXES",
    "PICTURE_SUFFIXES",
    "check_output",
    "folder_names",
    "make_folder",
    "results",
    "results_in",
    "write_figure",
    "write_json",
    "write_map",
]

MAP_SUFFIXES = (".tif", ".tiff", ".png")
PICTURE_SUFFIXES = (".png",)

_FIGURES = ("figures.json", *(f"reconstruction{suffix}" for suffix in (".png", ".tif", ".webp")))


def check_output(
    file: Path | None,
    option: str,
    images: Sequence[Path],
    *,
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
    suffixes : sequence of str
        Those that can be written.

    Raises
    ------
    InvalidOptionError, OSError
    """
    from helicopter.io._atomic import checked_target

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
    checked_target(file)


def write_map(path: Path, values: NDArray[np.float32], draw: Callable[[], Figure]) -> None:
    """Write a map as numbers or, where the suffix says so, as the picture that `draw` makes."""
    from helicopter.io import write_image

    if path.suffix.lower() in PICTURE_SUFFIXES:
        write_figure(path, draw)
    else:
        write_image(path, values)


def write_figure(path: Path, draw: Callable[[], Figure]) -> None:
    """Write the figure that `draw` makes as PNG."""
    from helicopter.io import atomic_open
    from helicopter.plotting import figure_png

    with atomic_open(path) as file:
        file.write(figure_png(draw))


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
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no folder can have that name"
        raise InvalidOptionError(
            f"cannot make the folder {str(output)!r}: {reason}; choose another with -o"
        ) from error


def results(
    output: Path, names: Sequence[str], inputs: Sequence[Path | None], *, report: bool
) -> list[Output]:
    """Return all files that may be written into the folders of images.

    Raises
    ------
    InvalidOptionError
        If there are files of such names that no run has left.
    """
    from helicopter.io._atomic import real_path
    from helicopter.io._together import sweep
    from helicopter.report import REPORT_FILES

    sweep(real_path(output))
    found = []
    for name in names:
        folder = output / name
        sweep(real_path(folder))
        files = [folder / file for file in (*_FIGURES, *(REPORT_FILES if report else ()))]
        found += [Output(file, "--output", "choose another folder with -o") for file in files]
        if _has_results(folder):
            continue
        own = [file for file in files if file.exists() and not is_one_of(file, inputs)]
        if own:
            raise InvalidOptionError(
                f"cannot write {str(own[0])!r} (--output): it is there without the figures.json of "
                "an earlier run, so it may be yours; choose another folder with -o, or remove it"
            )
    return found


@contextlib.contextmanager
def results_in(folder: Path, inputs: Sequence[Path | None]) -> Iterator[None]:
    """Write all results of one image or none, in place of those of an earlier run.

    That may have been of another image of the same name.
    """
    from helicopter.io import together
    from helicopter.report import REPORT_FILES

    earlier = (*_FIGURES, *REPORT_FILES) if _has_results(folder) else ()
    stale = [name for name in earlier if not is_one_of(folder / name, inputs)]
    with together(folder, instead_of=stale):
        yield


def _has_results(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("figures.json", "report.html"))


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
