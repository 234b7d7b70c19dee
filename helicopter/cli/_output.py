"""What goes to stdout, what goes to stderr, and in which words."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from helicopter.errors import HelicopterError, InvalidOptionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

__all__ = [
    "about",
    "complain",
    "debugging",
    "emit_json",
    "explain",
    "forgiving_streams",
    "printable",
    "stdout",
]

FAILED, BAD_USAGE = 1, 2


def debugging() -> bool:
    """Return whether errors are to show their tracebacks."""
    return os.environ.get("HELICOPTER_DEBUG", "") not in ("", "0")


def stdout() -> Console:
    """Return a console for tables: colours on a terminal, plain and wider in a pipe."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=120)


def emit_json(data: Mapping[str, Any]) -> None:
    """Print JSON, and nothing else, on stdout."""
    # ASCII: valid whatever the encoding of stdout, and whatever a file is called
    print(json.dumps(data, indent=2, allow_nan=False))


def complain(message: str) -> None:
    """Print one line on stderr."""
    print(f"helicopter: {printable(message)}", file=sys.stderr, flush=True)


def explain(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the one line that belong to an error."""
    if isinstance(error, InvalidOptionError):
        return BAD_USAGE, str(error)
    if isinstance(error, HelicopterError):
        return FAILED, str(error)
    if isinstance(error, MemoryError):
        return FAILED, "out of memory; try a smaller image"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename!r}: " if error.filename is not None else ""
        return FAILED, f"{where}{error.strerror}"
    return FAILED, (
        f"unexpected {type(error).__name__}: {error} "
        "(a fault of ours, please report it; HELICOPTER_DEBUG=1 shows where)"
    )


def about(path: Path, message: str) -> str:
    """Name the file that a message is about, and the remedy as the command line has it."""
    message = message.replace("data_range=(low, high)", "--data-range LOW HIGH")
    return message if repr(str(path)) in message else f"{str(path)!r}: {message}"


def printable(text: str) -> str:
    """Make text safe for a terminal, on one line: file names may hold escape sequences."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def forgiving_streams() -> None:
    """Let a name that the terminal's encoding lacks be printed as escapes, not as a crash."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
