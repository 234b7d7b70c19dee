"""Faults on purpose: the n-th step that touches the disk, encodes or decodes fails, or is the last.

A step is a call that opens, writes, flushes, names or removes a file or folder, or that encodes or
decodes an image, a figure or JSON, wherever it is made.
"""

import contextlib
import errno
import io
import json
import os
import shutil
import signal
import sys
from unittest import mock

import numpy as np
import tifffile
from matplotlib.figure import Figure
from PIL import Image

#: What Python reports of itself before it does it, whoever asks for it.
AUDITED = {
    "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink",
    "os.truncate", "os.utime",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Clock:
    """Counts steps; at the n-th one `act` is called."""

    def __init__(self):
        self.n, self.act, self.ticks, self.running = 0, None, 0, False

    def tick(self):
        if not self.running:
            return
        self.ticks += 1
        if self.ticks >= self.n:
            self.act(self.ticks - self.n)


CLOCK = Clock()


def _audit(event, arguments):
    if not CLOCK.running:
        return
    if event in AUDITED or (event == "open" and (arguments[2] or 0) & WRITING):
        CLOCK.tick()


class Stream:
    """A file that counts what is written to it."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, data):
        CLOCK.tick()
        half = memoryview(data).cast("B")
        self._stream.write(half[: len(half) // 2])
        self._stream.flush()
        CLOCK.tick()
        self._stream.write(half[len(half) // 2 :])
        return len(half)

    def __enter__(self):
        self._stream.__enter__()
        return self

    def __exit__(self, *problem):
        return self._stream.__exit__(*problem)

    def __iter__(self):
        return iter(self._stream)

    def __getattr__(self, name):
        return getattr(self._stream, name)


_installed = []


@contextlib.contextmanager
def steps(*, memory=False):
    """Let everything that is a step tick; with `memory` each new array is one as well."""
    if not _installed:  # hooks stay for as long as the process lives
        sys.addaudithook(_audit)
        _installed.append(True)
    open_file = io.open

    def opened(file, mode="r", *rest, **named):
        stream = open_file(file, mode, *rest, **named)
        return Stream(stream) if "b" in mode and set(mode) & set("wxa+") else stream

    def ticking(function):
        def call(*arguments, **named):
            CLOCK.tick()
            return function(*arguments, **named)

        return call

    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch("io.open", opened))
        calls = [
            (os, "fsync"), (json, "dumps"), (Image.Image, "save"), (Image, "open"),
            (tifffile, "imwrite"), (Figure, "savefig"),
        ]  # fmt: skip
        for owner, name in [*calls, *([(np, "zeros"), (np, "empty")] if memory else [])]:
            patches.enter_context(mock.patch.object(owner, name, ticking(getattr(owner, name))))
        exchange = sys.modules["helicopter.io._exchange"].exchange
        patches.enter_context(mock.patch("helicopter.io._staging.exchange", ticking(exchange)))
        yield


def raising(error, *, once=True):
    """Make what fails at the n-th step, or from there on."""

    def act(since):
        if since == 0 or not once:
            raise error()

    return act


def full():
    """The disk is full."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def run(job, n, act):
    """Do a job with a fault at the n-th step; return what came of it, and whether there were n."""
    CLOCK.n, CLOCK.act, CLOCK.ticks, CLOCK.running = n, act, 0, True
    try:
        outcome = job()
    except BaseException as problem:
        outcome = problem
    finally:
        CLOCK.running = False
    return outcome, CLOCK.ticks >= n


def killed(job, n):
    """Do a job in a child that is killed before its n-th step; return whether there were n."""

    def die(since):
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        outcome, _ = run(job, n, die)
        os._exit(0 if outcome == 0 else 1)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def files(folder):
    """All files and what is in them, but for temporary ones."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not temporary(path.relative_to(folder))
    }


def temporary(path):
    """Whether a file is one that the next start may remove."""
    return any(part.startswith(".helicopter-") for part in path.parts)


def left_over(folder):
    """All temporary files and folders."""
    return [path for path in folder.rglob("*") if temporary(path.relative_to(folder))]


def restore(folder, contents):
    """Make a folder hold these files, and nothing else."""
    shutil.rmtree(folder)
    folder.mkdir()
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
