"""BLAS on one thread, and our own threads around it.

How BLAS divides a product among its threads depends on their number, and with it the order in which
it adds up. So each product here is left to one thread, and what can be shared out is shared out in
pieces that do not depend on how many threads there are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from threadpoolctl import ThreadpoolController

from ._threads import get_num_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["blas_on_one_thread", "share_out"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_lock = Lock()
_depth = 0
_limit: Any = None


@lru_cache(maxsize=1)
def _libraries() -> ThreadpoolController:
    """The loaded libraries; to look for them takes milliseconds."""
    return ThreadpoolController()


@contextmanager
def blas_on_one_thread() -> Iterator[None]:
    """Leave each product to one thread; for a `with` or as a decorator.

    The number of BLAS threads belongs to the process; the last one to leave restores it.
    """
    global _depth, _limit
    with _lock:
        if _depth == 0:
            _limit = _libraries().limit(limits=1, user_api="blas")
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                _limit.restore_original_limits()


def share_out(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply `function` to all items on as many threads as were chosen; results in their order."""
    items = list(items)
    threads = min(get_num_threads(), len(items))
    if threads <= 1:
        return [function(item) for item in items]
    pool = ThreadPoolExecutor(threads)
    try:
        return list(pool.map(function, items))
    finally:
        pool.shutdown(cancel_futures=True)  # what Ctrl-C interrupts need not be finished
