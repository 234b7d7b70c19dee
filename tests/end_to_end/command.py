"""How the tests here run the command: within this process, or, where that matters, in its own.

Within this process saves the second that Python takes to import everything, hundreds of times.
What is written, by Python or by a library in C or Rust, is taken from the file descriptors, so that
nothing goes unseen that a shell would show.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import pytest

import helicopter as package
from helicopter import backends
from helicopter.cli import main

RUST = any(status.name == "rust" and status.available for status in backends.report())
BACKENDS = [
    "python",
    pytest.param("rust", marks=pytest.mark.skipif(not RUST, reason="helicopter-rs is not here")),
]
SMALL = ["--patch-size", "16", "--no-report"]


def environment(**changes):
    # HELICOPTER_DISABLE_RUST stays, so that all of this can be run without Rust
    kept = {k: v for k, v in os.environ.items() if k != "HELICOPTER_DEBUG"}
    kept["PYTHONPATH"] = str(Path(package.__file__).parents[1])  # what the tests import
    return {**kept, **changes}


def process(*arguments, cwd=None, **changes):
    """Run the command in a process of its own, in a changed environment if need be."""
    return subprocess.run(
        [sys.executable, "-m", "helicopter", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(**changes),
        timeout=240,
        check=False,
    )


@contextlib.contextmanager
def _written(name):
    """Yield a function that tells what has been written to a standard stream in the meantime."""
    number = {"stdout": 1, "stderr": 2}[name]
    getattr(sys, name).flush()
    before = os.dup(number)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), number)
        stream = os.fdopen(os.dup(number), "w", encoding="utf-8")

        def text():
            stream.flush()
            file.seek(0)
            return file.read().decode("utf-8")

        try:
            with stream, mock.patch.object(sys, name, stream):
                yield text
        finally:
            os.dup2(before, number)
            os.close(before)


def helicopter(*arguments, cwd=None, **changes):
    """Run the command within this process; the same is returned as by `process`."""
    words, here = list(map(str, arguments)), Path.cwd()
    with (
        mock.patch.dict(os.environ, environment(**changes), clear=True),
        _written("stdout") as stdout,
        _written("stderr") as stderr,
    ):
        os.chdir(cwd or here)
        try:
            main(words)
        except SystemExit as leaving:
            return subprocess.CompletedProcess(words, leaving.code, stdout(), stderr())
        finally:
            os.chdir(here)
            backends.set_num_threads(None)


def done(*arguments, run=helicopter, **options):
    """Run a command that must succeed, with nothing on stderr and nothing for terminals only."""
    result = run(*arguments, **options)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    return result.stdout


def refused(code, *arguments, run=helicopter, **options):
    """Run a command that must fail with this code, one plain line, and no traceback."""
    result = run(*arguments, **options)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("helicopter: ")
    return lines[0]
