"""The command line. Importing it is quick: each command imports what it needs to compute."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from ._signals import ended, exit_code, orderly_end

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command ``helicopter`` and leave the process.

    Exit codes: 0 done, 1 something failed, 2 bad usage, 128 + n ended by signal n (130: Ctrl-C).
    With the environment variable ``HELICOPTER_DEBUG=1`` an error shows its traceback.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    """
    with orderly_end():
        try:
            from ._app import app
            from ._output import forgiving_streams

            forgiving_streams()
            app(args=None if arguments is None else list(arguments), prog_name="helicopter")
        except KeyboardInterrupt:
            _leave_interrupted()
        except SystemExit as leaving:
            if leaving.code == exit_code() or ended():  # Typer has caught the KeyboardInterrupt
                _leave_interrupted()
            raise
        except Exception as error:
            from ._output import complain, debugging, explain

            if ended():  # which a library has made another error of
                _leave_interrupted()
            if debugging():
                raise
            code, message = explain(error)
            complain(message)
            sys.exit(code)
        sys.exit(0)


def _leave_interrupted() -> NoReturn:
    """Leave with the promised exit code, whatever was running.

    By now all files are closed or removed. An ordinary exit would not do: when Ctrl-C strikes
    within ``exec`` of a string (which ``import`` of a dataclass is), CPython remembers that, and
    ends the process by a signal instead of the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(exit_code())
