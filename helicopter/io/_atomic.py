"""Writing a file so that it is either the complete old one or the complete new one."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from helicopter.errors import InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["atomic_open", "checked_target"]


def checked_target(path: str | os.PathLike[str]) -> Path:
    """Return where `path` really points, or say why nothing can be written there.

    Symbolic links are followed, so that writing through a link replaces the file and not the link.

    Raises
    ------
    InvalidOptionError
        If the folder does not exist or `path` is a folder, a device or the like.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise InvalidOptionError(
            f"cannot write {os.fspath(path)!r}: the folder {str(target.parent)!r} does not exist; "
            "create it first"
        )
    # renaming over /dev/null would delete the device, so only plain files are ever replaced
    if target.exists() and not target.is_file():
        kind = "a folder" if target.is_dir() else "not a regular file"
        raise InvalidOptionError(f"cannot write {os.fspath(path)!r}: it is {kind}")
    return target


@contextlib.contextmanager
def atomic_open(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file for writing that takes the name `path` only when all went well.

    The bytes go to a temporary file in the same folder, are flushed to the disk, and the file is
    renamed. On any exception (``KeyboardInterrupt`` included) the temporary file is removed and
    what stood at `path` before still stands. A killed process can leave a temporary file named
    ``.helicopter-*.tmp``, never half of a file at `path`.

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
    temporary = target.with_name(f".helicopter-{secrets.token_hex(8)}.tmp")
    try:
        # the kernel applies the umask; mkstemp would leave a file that only its owner can read
        stream = temporary.open("xb")
    except OSError as error:
        raise InvalidOptionError(
            f"cannot write {os.fspath(path)!r}: {error.strerror}; choose a folder you may write to"
        ) from error
    try:
        with stream as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except OSError as error:
        _remove(temporary)
        if error.filename is None or error.filename == str(temporary):
            # "No space left on device" alone does not tell which file was not written
            raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error
        raise
    except BaseException:
        _remove(temporary)
        raise
    _sync_folder(target.parent)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
