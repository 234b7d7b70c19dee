"""A hidden folder for new files until all of them take their names together.

    .helicopter-0123456789abcdef.tmp/
        lock        held by the process that writes
        new/        the new files, under their names
        plan        which they are, and which old ones go: from here on nothing is written
        decided     the same file once all is to be put in place, whatever happens
        old/        the old files until all new ones are in place

A process may die anywhere in this. Whoever starts next calls `recover`: what was decided is
finished, what was not goes.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ._exchange import exchange
from ._temporary import (
    alone_in,
    claimed,
    is_own,
    is_temporary,
    locked_file,
    removed,
    temporary_path,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Staging", "recover", "sync_folder"]


class Staging:
    """Where the files of one folder wait.

    Parameters
    ----------
    folder : Path
        Where they will be; a real path. Need not exist if `whole`.
    whole : bool
        Whether the folder may be made, or exchanged for a new one that holds what it would hold.
    """

    def __init__(self, folder: Path, *, whole: bool = False) -> None:
        self.folder = folder
        #: names to remove, but those written, which a link may lead out of the folder
        self.stale: set[str] = set()
        self.written: set[str] = set()
        self.home, self._lock = _make_home(folder, beside=whole)
        self._swappable = whole and self.home.parent != folder
        self._made = False
        self.new, self.old = self.home / "new", self.home / "old"

    def write_plan(self, group: Sequence[Staging]) -> None:
        """Write down what is to be done; `group` are the folders that change together."""
        put = sorted(_names(self.new))
        stale = sorted(self.stale - self.written)
        gone = {name: _identity(self.folder / name) for name in stale}
        plan: dict[str, Any] = {
            "folder": "" if self.home.parent == self.folder else self.folder.name,
            "put": {name: _identity(self.folder / name) for name in put},
            "remove": {name: identity for name, identity in gone.items() if identity},
            "group": [] if len(group) < 2 else [str(other.home) for other in group],
        }
        with (self.home / "plan").open("xb") as file:
            file.write(json.dumps(plan).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        for folder in (self.new, self.home, self.home.parent):
            sync_folder(folder)
        self.plan = plan

    def rename_one(self) -> bool:
        """Put the one new file in place, if it is the only one and no other changes."""
        names = _names(self.new)
        if len(names) > 1 or self.stale - self.written or not self.folder.is_dir():
            return False
        (self.new / names[0]).replace(self.folder / names[0])
        sync_folder(self.folder)
        return True

    def swap(self) -> bool:
        """Put all in place in one step, if the system can and all that is there is ours."""
        if not self._swappable:
            return False
        ours = {*self.plan["put"], *self.plan["remove"]}
        try:
            there = list(self.folder.iterdir()) if self.folder.exists() else []
            if not all(path.name in ours and _is_plain(path) for path in there):
                return False
            if self.folder.exists():
                old, new = self.folder.stat(), self.new.stat()
                if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
                    return False
                self.new.chmod(stat.S_IMODE(old.st_mode))
            if there:
                exchange(self.new, self.folder)
            else:
                self.new.rename(self.folder)  # an empty folder may be in its place
        except OSError:
            return False
        sync_folder(self.folder.parent)
        return True

    def decide(self) -> None:
        """From here on the new files will be in place, if not now, then at the next start."""
        (self.home / "plan").replace(self.home / "decided")
        sync_folder(self.home)

    def undecide(self) -> None:
        """Take `decide` back."""
        (self.home / "decided").unlink()
        sync_folder(self.home)

    def put(self) -> None:
        """Put the new files in place, one by one, and keep the old ones."""
        self.old.mkdir()
        if not self.folder.exists():
            self.folder.mkdir()
            self._made = True
        for name in self.plan["put"]:
            target = self.folder / name
            with contextlib.suppress(FileNotFoundError):
                _second_name(target, self.old / name)
            (self.new / name).replace(target)
        for name in self.plan["remove"]:
            with contextlib.suppress(FileNotFoundError):
                (self.folder / name).rename(self.old / name)
        sync_folder(self.folder)

    def take_back(self) -> None:
        """Undo `put`, wherever it stopped."""
        for name in self.plan["put"]:
            target, old, new = self.folder / name, self.old / name, self.new / name
            if old.exists():
                if not new.exists():
                    _second_name(target, new)
                old.replace(target)
            elif not new.exists():
                target.rename(new)
        for name in self.plan["remove"]:
            with contextlib.suppress(FileNotFoundError):
                (self.old / name).rename(self.folder / name)
        if self._made:
            self.folder.rmdir()

    def discard(self) -> None:
        """Remove what is left over, which after `swap` is what was there before."""
        try:
            _clear(self.home)
        finally:
            self._lock.close()
        _remove_home(self.home)


def recover(home: Path) -> None:
    """Finish or undo what a dead process has left of a `Staging`; one of the living is let be."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        status = home.lstat()
        # a plan of someone else's would have us replace files where only we may
        if not stat.S_ISDIR(status.st_mode) or not is_own(status) or status.st_mode & 0o022:
            return
        if not (home / "lock").exists():
            _remove_home(home)
            return
        group = _group(home)
        if group[0] != home and (group[0] / "decided").exists() and _group(group[0]) == group:
            recover(group[0])
            return
        with claimed(home / "lock") as dead:
            if not dead:
                return
            parts = [home]
            if (home / "decided").exists():
                parts = [*(other for other in group[:0:-1] if _group(other) == group), home]
                for part in parts:
                    _finish(part)
            for part in parts:  # the one that decides goes last
                _clear(part)
                _remove_home(part)


def _group(home: Path) -> list[Path]:
    """Return all folders that change together with this one, the one that decides first."""
    names = (_plan(home) or {}).get("group")
    group = [Path(name) for name in names or [str(home)]]
    if home not in group or not all(is_temporary(path.name) for path in group):
        raise ValueError(home)
    return group


def _plan(home: Path) -> dict[str, Any] | None:
    """Read what was to be done; None if that has not been written, or not whole."""
    for name in ("decided", "plan"):
        with contextlib.suppress(FileNotFoundError, ValueError):
            plan: dict[str, Any] = json.loads((home / name).read_bytes())
            for part in (plan["folder"], *plan["put"], *plan["remove"]):
                if part in (".", "..") or part != os.path.basename(part):  # noqa: PTH119
                    raise PermissionError(part)  # leads elsewhere: no plan of ours
            return plan
    return None


def _finish(home: Path) -> None:
    """Put in place what is not yet, but where someone else has changed something since."""
    plan = _plan(home)
    assert plan is not None
    folder = home.parent / plan["folder"]
    folder.mkdir(exist_ok=True)
    with alone_in(folder):
        for name, before in plan["put"].items():
            new, target = home / "new" / name, folder / name
            if new.exists() and _identity(target) in (before, None):
                new.replace(target)
        for name, before in plan["remove"].items():
            if _identity(folder / name) == before:
                (folder / name).unlink()
        sync_folder(folder)


def _clear(home: Path) -> None:
    """Remove the files in a folder of ours, all but the lock."""
    plan = _plan(home)
    for part in ("new", "old"):
        folder = home / part
        for path in list(folder.iterdir()) if folder.is_dir() else ():
            if plan is None or path.name in plan["put"] or path.name in plan["remove"]:
                removed(path)
            else:
                # not one of ours: it came into the old folder just before that was exchanged
                with contextlib.suppress(OSError):
                    _move_back(path, home.parent / plan["folder"])
        with contextlib.suppress(OSError):
            folder.rmdir()
    for path in list(home.iterdir()):
        if path.name in ("plan", "decided") or is_temporary(path.name):
            removed(path)


def _move_back(path: Path, folder: Path) -> None:
    if not (folder / path.name).exists():
        path.rename(folder / path.name)


def _make_home(folder: Path, *, beside: bool) -> tuple[Path, BinaryIO]:
    """Make a hidden folder on the same disk: beside a folder if possible, else in it."""
    try:
        if beside and (not folder.exists() or folder.stat().st_dev == folder.parent.stat().st_dev):
            return _locked_home(folder.parent)
    except PermissionError:
        if not folder.exists():
            raise
    return _locked_home(folder)


def _locked_home(parent: Path) -> tuple[Path, BinaryIO]:
    while True:
        home = temporary_path(parent)
        home.mkdir(mode=0o700)
        lock = None
        try:
            # another process may take it for left over until it is locked
            with contextlib.suppress(FileNotFoundError):
                lock = locked_file(home / "lock")
                if lock is not None:
                    (home / "new").mkdir()
                    return home, lock
        except BaseException:
            if lock is not None:
                lock.close()
            _remove_home(home)
            raise


def _remove_home(home: Path) -> None:
    # without its lock an empty one is taken for left over, and one that is not is let be
    with contextlib.suppress(OSError):
        if not {*_names(home)} - {"lock", "new"}:
            with contextlib.suppress(FileNotFoundError):
                (home / "new").rmdir()
            removed(home / "lock")
            home.rmdir()


def _second_name(path: Path, other: Path) -> None:
    """Give a file another name; where it can have only one, in place of its own."""
    try:
        os.link(path, other)
    except FileNotFoundError:
        raise
    except OSError:
        path.rename(other)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _identity(path: Path) -> list[int] | None:
    """Return what tells a file from any that may come in its place; None if there is none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        return None  # never one of ours
    return [status.st_ino, status.st_mtime_ns, status.st_size]


def sync_folder(folder: Path) -> None:
    """Make renames survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
