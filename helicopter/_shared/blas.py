"""BLAS on one thread.

How BLAS divides a product among its threads depends on their number, and with it the order in which
it adds up. So each product here is left to one thread.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["blas_on_one_thread", "squared_distances"]


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


def squared_distances(
    measured: NDArray[Any], centre: NDArray[np.float64], form: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (x - centre)' form (x - centre) for each pixel of (H, W, M), none below 0."""
    away = measured.astype(np.float64) - centre
    with blas_on_one_thread():
        product = away @ form
    return np.asarray(np.maximum(np.einsum("...i,...i->...", product, away), 0.0))
