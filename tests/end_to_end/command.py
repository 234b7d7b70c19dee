"""How the tests here run the command, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import helicopter as package
from helicopter import backends

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


def helicopter(*arguments, cwd=None, **changes):
    return subprocess.run(
        [sys.executable, "-m", "helicopter", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(**changes),
        timeout=240,
        check=False,
    )


def done(*arguments, **changes):
    """Run a command that must succeed, with nothing on stderr and nothing for terminals only."""
    result = helicopter(*arguments, **changes)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    return result.stdout


def refused(code, *arguments, **changes):
    """Run a command that must fail with this code, one plain line, and no traceback."""
    result = helicopter(*arguments, **changes)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("helicopter: ")
    return lines[0]
