"""Invariant 8: the complete old file or the complete new one, whatever happens."""

import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from helicopter.errors import InvalidOptionError
from helicopter.io import atomic_open, read_image, write_image

OLD = b"the old file, complete"


def folder_holds_only(folder, name, content):
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_bytes() == content


def write_half(path, error):
    with atomic_open(path) as file:
        file.write(b"half of the new one")
        file.flush()
        raise error


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(OLD)
    return path


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_an_exception_leaves_the_old_file(old, error):
    with pytest.raises(type(error)):
        write_half(old, error)
    folder_holds_only(old.parent, "a.bin", OLD)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_an_exception_leaves_nothing_where_nothing_was(tmp_path, error):
    with pytest.raises(type(error)):
        write_half(tmp_path / "a.bin", error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_image(tmp_path, monkeypatch, suffix, step):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(OLD)
    full = OSError(errno.ENOSPC, "No space left on device")

    def fail(*_args, **_options):
        raise full

    if step == "write":
        # the disk is full after a few bytes: a limit on the file size raises EFBIG instead
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    elif step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr("pathlib.Path.replace", fail)
    try:
        noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
        with pytest.raises(OSError, match=r"No space left|File too large") as caught:
            write_image(path, noise)
    finally:
        if step == "write":
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, previous)
    assert caught.value.filename == str(path)
    folder_holds_only(tmp_path, f"a{suffix}", OLD)


def test_the_name_appears_only_when_all_is_written(old):
    with atomic_open(old) as file:
        file.write(b"new")
        file.flush()
        assert old.read_bytes() == OLD
    folder_holds_only(old.parent, "a.bin", b"new")


def test_a_killed_process_leaves_the_old_file(old):
    code = textwrap.dedent(
        """
        import sys, time
        from helicopter.io import atomic_open
        with atomic_open(sys.argv[1]) as file:
            file.write(b"x" * 100_000)
            file.flush()
            print("writing", flush=True)
            time.sleep(60)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(old)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "writing\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert old.read_bytes() == OLD
    # what is left over says what it is, and is hidden
    (left,) = (path.name for path in old.parent.iterdir() if path != old)
    assert left.startswith(".helicopter-")
    assert left.endswith(".tmp")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_follows_the_umask(tmp_path, umask, mode):
    previous = os.umask(umask)
    try:
        with atomic_open(tmp_path / "a.bin") as file:
            file.write(b"x")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == mode


def test_an_old_file_keeps_its_permissions(old):
    old.chmod(0o640)
    with atomic_open(old) as file:
        file.write(b"new")
    assert stat.S_IMODE(old.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path, old):
    link = tmp_path / "link.bin"
    link.symlink_to(old)
    with atomic_open(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert old.read_bytes() == b"new"


def test_only_plain_files_are_replaced(tmp_path):
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    for path, text in (
        (fifo, "not a regular file"),
        (tmp_path, "it is a folder"),
        (tmp_path / "no" / "a.bin", "folder .* does not exist; create it first"),
    ):
        with pytest.raises(InvalidOptionError, match=text), atomic_open(path) as file:
            file.write(b"x")
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_relative_path_without_a_folder_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image("a.png", np.full((3, 3), 7, np.uint8))
    assert (read_image("a.png").pixels == 7).all()
