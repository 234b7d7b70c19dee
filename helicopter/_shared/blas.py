"""BLAS on one thread.

How BLAS divides a product among its threads depends on their number, and with it the order in which
it adds up. So each product here is left to one thread.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["blas_on_one_thread", "squared_distances"]


_lock = threading.Lock()
#: Which threads are inside, once for each time that they have entered.
_inside: list[int] = []
_limit: Any = None


@lru_cache(maxsize=2)
def _libraries(with_scipy: bool) -> ThreadpoolController:
    """The loaded libraries, to look for which takes milliseconds; SciPy brings one of its own."""
    return ThreadpoolController()


@contextmanager
def blas_on_one_thread() -> Iterator[None]:
    """Leave each product to one thread; for a `with` or as a decorator.

    The number of BLAS threads belongs to the process; the last one to leave restores it.
    """
    global _limit
    caller = threading.get_ident()
    with _lock:
        if not _inside:
            libraries = _libraries("scipy.linalg" in sys.modules)
            _take_control(libraries)
            _limit = libraries, libraries.limit(limits=1, user_api="blas")
        _inside.append(caller)
    try:
        yield
    finally:
        with _lock:
            _inside.remove(caller)
            if not _inside:
                _restore()


def _restore() -> None:
    libraries, limit = _limit
    _take_control(libraries)
    limit.restore_original_limits()
    _take_control(libraries)  # which leaves it to whoever comes next


def _take_control(libraries: ThreadpoolController) -> None:
    """Let this thread set limits.

    threadpoolctl lets only the first thread that has set one do so, and ignores all others without
    a word, although the limit is the whole process's. Here one thread at a time comes by.
    """
    for library in libraries.lib_controllers:
        clear = getattr(library, "clear_controlling_thread", None)
        if clear is not None:
            clear(force=True)


def _after_fork() -> None:
    """Forget the threads that the child does not have, and the lock that one may have held."""
    global _lock, _inside
    _lock = threading.Lock()
    left = [thread for thread in _inside if thread == threading.get_ident()]
    if _inside and not left:
        _restore()
    _inside = left


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def squared_distances(
    measured: NDArray[Any], centre: NDArray[np.float64], form: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (x - centre)' form (x - centre) for each pixel of (H, W, M), none below 0."""
    away = measured.astype(np.float64) - centre
    with blas_on_one_thread():
        product = away @ form
    return np.asarray(np.maximum(np.einsum("...i,...i->...", product, away), 0.0))
