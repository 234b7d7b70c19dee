"""Several files that take their names together; and what dead processes have left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from helicopter.errors import InvalidOptionError

from ._staging import Staging, recover
from ._temporary import alone_in, claimed, is_own, is_temporary, removed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["is_to_be_made", "not_written", "place_of", "sweep", "together"]

_current: ContextVar[dict[Path, Staging] | None] = ContextVar("_current", default=None)
_swept: set[Path] = set()


@contextlib.contextmanager
def together(
    folder: str | os.PathLike[str] | None = None, *, instead_of: Iterable[str] = ()
) -> Iterator[None]:
    """Let the files that are written within take their names together at the end, or none of them.

    Until then they wait in a hidden folder. On an exception it goes, and what stood there before
    still stands. Where the system can, a folder of results is exchanged in one step, so that a
    process that is killed leaves the complete old files or the complete new ones; else, and
    where someone has put files of their own into that folder, the next call that writes there
    finishes what was decided on. Within another ``with`` of this kind it is part of that one.

    Parameters
    ----------
    folder : str or path-like, optional
        Is made if files are written into it; where it is or can be made only the end tells.
    instead_of : iterable of str
        Names in `folder` that go, as far as they are not written anew.
    """
    outer = _current.get()
    if outer is not None:
        _join(outer, folder, instead_of)
        yield
        return
    stagings: dict[Path, Staging] = {}
    token = _current.set(stagings)
    try:
        _join(stagings, folder, instead_of)
        yield
        _commit([staging for staging in stagings.values() if any(staging.new.iterdir())])
    except OSError as error:
        for staging in stagings.values():
            if staging.home in Path(error.filename or "").parents:
                raise not_written(staging.folder, error) from error
        raise
    finally:
        _current.reset(token)
        with contextlib.ExitStack() as left:
            for staging in stagings.values():
                left.callback(staging.discard)


def place_of(path: str | os.PathLike[str], target: Path) -> tuple[Path, Path]:
    """Return the folder that a file is to be written in, and the path to give it when complete.

    `target` is where `path` really points.
    """
    stagings = _current.get()
    if stagings is None:
        _sweep_once(target.parent)
        return target.parent, target
    named = Path(path)
    if (linking := stagings.get(Path(os.path.realpath(named.parent)))) is not None:
        linking.written.add(named.name)
    staging = _staging(stagings, target.parent)
    return staging.home, staging.new / target.name


def not_written(path: str | os.PathLike[str], error: OSError) -> Exception:
    """Return the error that says which of the user's files or folders was not written."""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return InvalidOptionError(
            f"cannot write {os.fspath(path)!r}: {error.strerror}; choose a folder you may write to"
        )
    return OSError(error.errno, error.strerror or str(error), os.fspath(path))


def is_to_be_made(folder: Path) -> bool:
    """Return whether a folder will be there when the files within it are."""
    return folder in (_current.get() or ())


def sweep(folder: Path) -> None:
    """Finish or remove what processes that have died had begun in a folder; nobody else's."""
    with contextlib.suppress(OSError):
        for path in [path for path in folder.iterdir() if is_temporary(path.name)]:
            with contextlib.suppress(OSError):
                _sweep_one(path)


def _sweep_one(path: Path) -> None:
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode):
        recover(path)
    elif stat.S_ISREG(status.st_mode) and is_own(status):
        with claimed(path) as dead:
            if dead:
                removed(path)


def _sweep_once(folder: Path) -> None:
    if folder not in _swept:
        _swept.add(folder)
        sweep(folder)


def _join(
    stagings: dict[Path, Staging],
    folder: str | os.PathLike[str] | None,
    instead_of: Iterable[str],
) -> None:
    if folder is not None:
        try:
            staging = _staging(stagings, Path(os.path.realpath(folder)), whole=True)
        except OSError as error:
            raise not_written(folder, error) from error
        staging.stale.update(instead_of)


def _staging(stagings: dict[Path, Staging], folder: Path, *, whole: bool = False) -> Staging:
    if folder not in stagings:
        for place in {folder, folder.parent} if whole else {folder}:
            _sweep_once(place)
        stagings[folder] = Staging(folder, whole=whole)
    return stagings[folder]


def _commit(group: list[Staging]) -> None:
    if not group or (len(group) == 1 and group[0].rename_one()):
        return
    for staging in group:
        staging.write_plan(group)
    with contextlib.ExitStack() as alone:
        for folder in sorted({staging.home.parent for staging in group}):
            alone.enter_context(alone_in(folder))
        if len(group) == 1 and (group[0].swap()):
            return
        group[0].decide()
        try:
            for staging in group:
                staging.put()
        except BaseException:
            for staging in reversed(group):
                staging.take_back()
            group[0].undecide()
            raise
