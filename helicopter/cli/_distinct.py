"""No output over an input, no two outputs in one file: refused before any work."""

from __future__ import annotations

import os
import stat
import sys
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from helicopter.errors import InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator
    from pathlib import Path

__all__ = ["Output", "check_distinct", "is_one_of"]


class Output(NamedTuple):
    """A file that a command writes, or may write.

    Attributes
    ----------
    path : Path
    option : str
        What named it.
    remedy : str
    """

    path: Path
    option: str
    remedy: str = "choose another name"


def check_distinct(inputs: Iterable[Path | None], outputs: Iterable[Output]) -> None:
    """Refuse outputs that are inputs or each other, under whatever names.

    Links and hard links count as what they lead to, and ``..`` too; so do capitals where the file
    system does not tell them from small letters. What processes that were killed have left where
    the outputs go is finished or removed first.

    Raises
    ------
    InvalidOptionError
    """
    from helicopter.io._atomic import real_path
    from helicopter.io._together import sweep

    outputs = list(outputs)
    for folder in sorted({real_path(output.path).parent for output in outputs}):
        sweep(folder)
    read: dict[Hashable, Path] = {}
    for path in inputs:
        if path is not None:
            read.update(dict.fromkeys(_identities(path), path))
    written: dict[Hashable, Output] = {}
    folded: dict[Hashable, Output] = {}
    for output in outputs:
        shown = repr(str(output.path))
        identities = list(_identities(output.path))
        for identity in identities:
            if identity in read:
                source = repr(str(read[identity]))
                other = "" if source == shown else f", {source}"
                raise InvalidOptionError(
                    f"cannot write {shown} ({output.option}): it is one of the inputs{other}; "
                    f"{output.remedy}"
                )
        real = real_path(output.path)
        fold = real.parent, unicodedata.normalize("NFC", real.name).casefold()
        same = next((written[i] for i in identities if i in written), None)
        if same is None and fold in folded and not _tells_case(real, folded[fold].path):
            same = folded[fold]
        if same is not None:
            other = repr(str(same.path))
            names = shown if other == shown else f"{other} and {shown}"
            raise InvalidOptionError(
                f"{same.option} and {output.option} are the same file, {names}: one would be lost; "
                f"{output.remedy} for one of them"
            )
        written.update(dict.fromkeys(identities, output))
        folded[fold] = output
    _check_stdout(written)


def is_one_of(path: Path, others: Iterable[Path | None]) -> bool:
    """Return whether a path leads to the same file as one of the others."""
    mine = set(_identities(path))
    return any(not mine.isdisjoint(_identities(other)) for other in others if other is not None)


def _identities(path: Path) -> Iterator[Hashable]:
    """Return what two paths share if they lead to one file, be it there or not."""
    try:
        yield os.path.realpath(path)
        status = path.stat()
    except (OSError, ValueError):  # not there, or no path at all: left to who reads or writes it
        return
    if status.st_ino:
        yield status.st_dev, status.st_ino


def _tells_case(path: Path, other: Path) -> bool:
    """Return whether two names that differ in capitals only are two files."""
    from helicopter.io._temporary import removed, temporary_path

    if path.exists() or other.exists():
        return True  # or they would have been the same already
    probe = temporary_path(path.parent)
    try:
        probe.touch(exist_ok=False)
        return not probe.with_name(probe.name.upper()).exists()
    except OSError:
        return True
    finally:
        removed(probe)


def _check_stdout(written: dict[Hashable, Output]) -> None:
    """Refuse what the shell has already opened to take what is printed."""
    try:
        status = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # closed, or replaced by something in memory
        return
    output = written.get((status.st_dev, status.st_ino))
    if output is not None and stat.S_ISREG(status.st_mode):
        raise InvalidOptionError(
            f"{output.option} and what is printed are the same file, {str(output.path)!r}: one "
            f"would be lost; {output.remedy} for one of them"
        )
