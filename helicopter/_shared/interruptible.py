"""Long work in libraries that look at no signals, so that Ctrl-C need not wait for it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["interruptible"]

T = TypeVar("T")


def interruptible(work: Callable[[], T]) -> T:
    """Return what `work` returns; it is left behind, unheard, when the waiting is interrupted.

    It runs in a thread of its own and must not change anything that outlives it: it goes on for as
    long as it takes. The interpreter must be released while it computes.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as problem:  # raised again by result() in the thread that waits
            outcome.set_exception(problem)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result()
