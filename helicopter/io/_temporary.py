"""Names for what is being written: hidden, and locked for as long as the process lives."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import time
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows, where no open file can be removed, which serves as well
    fcntl = None

__all__ = [
    "alone_in",
    "claimed",
    "is_own",
    "is_temporary",
    "locked_file",
    "removed",
    "temporary_path",
]

_NAME = re.compile(r"\.helicopter-[0-9a-f]{16}\.tmp")
#: Tenths of a second to wait for another process.
_PATIENCE = 30
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


def temporary_path(folder: Path) -> Path:
    """Return a path in a folder that nothing has yet."""
    return folder / f".helicopter-{secrets.token_hex(8)}.tmp"


def is_temporary(name: str) -> bool:
    """Return whether a file's or folder's name is one of `temporary_path`."""
    return _NAME.fullmatch(name) is not None


def is_own(status: os.stat_result) -> bool:
    """Return whether a file or folder belongs to the user."""
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def locked_file(path: Path) -> BinaryIO | None:
    """Make a file that is locked until it is closed; None if another process has swept it since."""
    # the kernel applies the umask; mkstemp would leave a file that only its owner can read
    stream = path.open("xb")
    try:
        if _lock(stream.fileno()) is not False and os.fstat(stream.fileno()).st_nlink:
            return stream
    except BaseException:
        stream.close()
        removed(path)
        raise
    stream.close()
    return None


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Tell whether no living process holds a file of `locked_file`; till the end none will."""
    if fcntl is None:
        yield True
        return
    # read and write: a lock over NFS takes both
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield _lock(descriptor) is True
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let one process at a time put its files in place in a folder, where the system can."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(_PATIENCE):  # it takes milliseconds, unless someone else locks the folder
            if _lock(descriptor) is not False:
                break
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def removed(path: Path) -> bool:
    """Remove a file; return whether it is gone."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _lock(descriptor: int) -> bool | None:
    """Return True if it is locked now, False if another holds it, None if that cannot be had."""
    locks: Any = fcntl
    if locks is None:
        return None
    try:
        locks.flock(descriptor, locks.LOCK_EX | locks.LOCK_NB)
    except OSError as error:
        return False if error.errno in _HELD else None
    return True
