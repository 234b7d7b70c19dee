"""Ctrl-C, SIGTERM and SIGHUP end a command in good order: what is done stays, the rest goes."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ENDING", "ended", "exit_code", "handled", "orderly_end"]

#: What asks a command to end.
ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_received: list[int] = []


def ended() -> bool:
    """Return whether one of the signals has come, whatever became of the exception it raised.

    A library may make another error out of it, or lose it where Python can raise none.
    """
    return bool(_received)


def exit_code() -> int:
    """Return the exit code of a command that was ended, as shells have it."""
    return 128 + (_received[-1] if _received else int(signal.SIGINT))


@contextlib.contextmanager
def orderly_end() -> Iterator[None]:
    """Let the signals raise KeyboardInterrupt."""

    def end(number: int) -> None:
        raise KeyboardInterrupt

    _received.clear()
    with handled(end):
        yield


@contextlib.contextmanager
def handled(answer: Callable[[int], None]) -> Iterator[None]:
    """Answer the signals in another way; those that are ignored, as under nohup, stay ignored."""
    before = {}

    def handle(number: int, frame: object) -> None:
        _received.append(number)
        answer(number)

    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            # None: set by something other than Python, which could not be put back
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
