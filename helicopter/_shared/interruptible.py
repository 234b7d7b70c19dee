"""Calls into libraries that do not let go, made so that Ctrl-C is answered at once."""

from __future__ import annotations

import contextvars
import ctypes
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["interruptible"]

T = TypeVar("T")


def interruptible(function: Callable[[], T]) -> T:
    """Call a function in another thread and wait, so that signals are answered meanwhile.

    If one raises, the call is given up, and may run on until its library returns: it must touch
    nothing but memory that nobody else needs. Signals concern the main thread only; any other one
    calls the function itself.
    """
    if threading.current_thread() is not threading.main_thread():
        return function()
    results: list[T] = []
    problems: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function())
        except BaseException as problem:  # raised again by the thread that waits
            problems.append(problem)

    # settings such as those of numpy.errstate belong to the context
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name="helicopter", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads are to be had
        return function()
    try:
        while thread.is_alive():
            thread.join(0.1)  # some systems answer signals only between two waits
    except BaseException:
        _stop(thread)
        raise
    if problems:
        raise problems[0]
    return results[0]


def _stop(thread: threading.Thread) -> None:
    """Let a thread end at its next step in Python; in C nothing can stop it."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
        )
