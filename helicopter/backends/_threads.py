"""How many threads the backends use, for this process, and work shared out among them."""

from __future__ import annotations

import operator
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from helicopter._messages import shown
from helicopter.errors import InvalidOptionError

from .loader import accelerator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["chosen_threads", "get_num_threads", "set_num_threads", "share_out"]

Item = TypeVar("Item")
Output = TypeVar("Output")


MAX_THREADS = 1024  # as in helicopter-rs/src/par.rs

_chosen: int | None = None


def set_num_threads(n: int | None) -> None:
    """Choose how many threads each call into a backend gets.

    Rust uses them everywhere, NumPy for the network and the blocks of the noise analysis. Results
    do not depend on it.

    Parameters
    ----------
    n
        From 1 to 1024. None: back to what the environment says (see `get_num_threads`).

    Raises
    ------
    InvalidOptionError
        If `n` is anything else.
    """
    global _chosen
    count = n
    if n is not None:
        try:
            count = 0 if isinstance(n, bool) else operator.index(n)  # NumPy's integers too
        except TypeError:
            count = 0
        _in_range("n", count, n)
    _chosen = count


def get_num_threads() -> int:
    """Return how many threads a call into a backend gets.

    That is what `set_num_threads` chose, else the environment variable ``HELICOPTER_NUM_THREADS``,
    else ``RAYON_NUM_THREADS``, else the number of processors that this process may use.

    Raises
    ------
    InvalidOptionError
        If ``HELICOPTER_NUM_THREADS`` is set to anything but an integer from 1 to 1024.
    """
    if _chosen is not None:
        return _chosen
    rust = accelerator()
    return _of_environment() if rust is None else int(rust.num_threads())


def chosen_threads() -> int | None:
    """Return the number to hand to Rust as ``threads=``: None leaves it to the environment."""
    return _chosen


def _of_environment() -> int:
    """Say the same as `num_threads` of helicopter_rs, which knows of container limits as well."""
    given = os.environ.get("HELICOPTER_NUM_THREADS", "")
    if given:
        text = given.strip()
        count = int(text) if text.isdecimal() else 0
        return _in_range("the environment variable HELICOPTER_NUM_THREADS", count, given)
    of_rayon = os.environ.get("RAYON_NUM_THREADS", "")
    if of_rayon.isdecimal() and int(of_rayon) > 0:
        return min(int(of_rayon), MAX_THREADS)
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_THREADS)
    return min(os.cpu_count() or 1, MAX_THREADS)


def _in_range(name: str, count: int, given: object) -> int:
    if not 1 <= count <= MAX_THREADS:
        raise InvalidOptionError(
            f"{name} must be an integer from 1 to {MAX_THREADS}, "
            f"got {shown(given)} ({type(given).__name__})"
        )
    return count


def share_out(function: Callable[[Item], Output], items: Iterable[Item]) -> list[Output]:
    """Apply `function` to all items on as many threads as were chosen; results in their order.

    The pieces must not depend on how many threads there are, so that results do not either.
    """
    items = list(items)
    threads = min(get_num_threads(), len(items))
    if threads <= 1:
        return [function(item) for item in items]
    pool = ThreadPoolExecutor(threads)
    try:
        return list(pool.map(function, items))
    finally:
        pool.shutdown(cancel_futures=True)  # what Ctrl-C interrupts need not be finished
