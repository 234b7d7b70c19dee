"""The command line. Importing it is quick: each command imports what it needs to compute."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command ``helicopter`` and leave the process.

    Exit codes: 0 done, 1 something failed, 2 bad usage, 130 interrupted. With the environment
    variable ``HELICOPTER_DEBUG=1`` an error shows its traceback.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.
    """
    try:
        from helicopter.cli.app import app
        from helicopter.cli.output import forgiving_streams

        forgiving_streams()
        app(args=None if arguments is None else list(arguments), prog_name="helicopter")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        from helicopter.cli.output import complain, debugging, explain

        if debugging():
            raise
        code, message = explain(error)
        complain(message)
        sys.exit(code)
    sys.exit(0)
