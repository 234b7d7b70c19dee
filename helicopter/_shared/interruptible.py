"""Calls into libraries that do not let go, made so that Ctrl-C is answered at once."""

from __future__ import annotations

import _thread
import contextvars
import ctypes
import threading
import weakref
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
    finished = threading.Event()

    def work(_: _Token) -> None:
        try:
            results.append(function())
        except BaseException as problem:  # raised again by the thread that waits
            problems.append(problem)
        finally:
            finished.set()

    # settings such as those of numpy.errstate belong to the context
    context = contextvars.copy_context()
    token = _Token()
    is_alive = weakref.ref(token)  # as long as the thread is, which alone holds it
    try:
        # not threading.Thread, whose start waits for ever if memory runs out just then
        ident = _thread.start_new_thread(context.run, (work, token))
    except RuntimeError:  # no more threads are to be had
        return function()
    del token
    try:
        # some systems answer signals only between two waits
        while not finished.wait(0.1) and is_alive() is not None:
            pass
    except BaseException:
        _stop(ident)
        raise
    if problems:
        raise problems[0]
    if not results:
        raise MemoryError("a thread ended before its work began")
    return results[0]


class _Token:
    """What a thread holds as long as it is there."""


def _stop(ident: int) -> None:
    """Let a thread end at its next step in Python; in C nothing can stop it."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(SystemExit))
