"""Writing a file so that it is either the complete old one or the complete new one."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from helicopter._shared.interruptible import interruptible
from helicopter.errors import InvalidOptionError

from ._staging import sync_folder
from ._temporary import locked_file, removed, temporary_path
from ._together import is_to_be_made, not_written, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["atomic_open", "checked_target", "real_path"]


def real_path(path: str | os.PathLike[str]) -> Path:
    """Return where `path` really points: no links, no ``..``.

    Raises
    ------
    InvalidOptionError
        If no file can have that name.
    """
    given: object = path  # a caller may pass anything
    if not isinstance(given, (str, Path)):
        raise InvalidOptionError(f"path must be a str or a Path, got {type(path).__name__}")
    shown = repr(os.fspath(path))
    try:
        if not os.fspath(path) or "\0" in os.fspath(path):
            raise ValueError
        os.fsencode(path)
        target = Path(os.path.realpath(path))
    except ValueError as error:
        raise InvalidOptionError(
            f"cannot use the path {shown}: no file can have that name; choose another"
        ) from error
    if target.is_symlink():
        raise InvalidOptionError(
            f"cannot use the path {shown}: its links lead in a circle; name another"
        )
    return target


def checked_target(path: str | os.PathLike[str]) -> Path:
    """Return where `path` really points, or say why nothing can be written there.

    Symbolic links are followed, so that writing through a link replaces the file and not the link.

    Raises
    ------
    InvalidOptionError
        If the folder does not exist or `path` is a folder, a device or the like.
    """
    target = real_path(path)
    shown = repr(os.fspath(path))
    try:
        if not (is_to_be_made(target.parent) or target.parent.is_dir()):
            raise InvalidOptionError(
                f"cannot write {shown}: the folder {str(target.parent)!r} does not exist; "
                "create it first"
            )
        status = target.stat()
    except FileNotFoundError:
        return target
    except OSError as error:
        raise InvalidOptionError(
            f"cannot write {shown}: {error.strerror}; choose another name"
        ) from error
    # renaming over /dev/null would delete the device, so only plain files are ever replaced
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise InvalidOptionError(f"cannot write {shown}: it is {kind}")
    return target


@contextlib.contextmanager
def atomic_open(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file for writing that takes the name `path` only when all went well.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and the file is
    renamed. On any exception (``KeyboardInterrupt`` included) the temporary file is removed and
    what stood at `path` before still stands. A killed process can leave a temporary file named
    ``.helicopter-*.tmp``, never half of a file at `path`; the next one that writes there removes
    it.

    Parameters
    ----------
    path : str or path-like
        A new file gets the permissions that the umask allows; an existing one keeps its own.

    Raises
    ------
    InvalidOptionError
        If nothing can be written there; see `checked_target`.
    OSError
        If the disk is full or fails; its ``filename`` is `path`.
    """
    target = checked_target(path)
    try:
        folder, final = place_of(path, target)
        temporary, stream = _new_file(folder)
    except OSError as error:
        raise not_written(path, error) from error
    try:
        with stream as file:
            yield file
            file.flush()
            _sync(file.fileno())
            if target.exists():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            if os.name != "nt":  # where no open file can be renamed
                temporary.replace(final)
        if os.name == "nt":
            temporary.replace(final)
    except OSError as error:
        removed(temporary)
        if error.filename is None or error.filename == str(temporary):
            # "No space left on device" alone does not tell which file was not written
            raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error
        raise
    except BaseException:
        removed(temporary)
        raise
    sync_folder(final.parent)


def _new_file(folder: Path) -> tuple[Path, BinaryIO]:
    while True:
        path = temporary_path(folder)
        stream = locked_file(path)
        if stream is not None:
            return path, stream


def _sync(descriptor: int) -> None:
    """Wait for the disk, but not after Ctrl-C: the file is given up then."""
    copy = os.dup(descriptor)

    def sync() -> None:
        try:
            os.fsync(copy)
        finally:
            os.close(copy)

    interruptible(sync)
