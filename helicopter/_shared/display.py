"""How results show themselves: the floors above say who does it, who is loaded on first use.

Results know nothing of figures and pages. `helicopter/__init__.py`, which knows all floors, names
the functions; so nothing here points upwards.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["display", "provide"]

_functions: dict[str, str] = {}


def provide(**functions: str) -> None:
    """Name the functions that show a result, as ``kind="module:function"``."""
    _functions.update(functions)


def display(kind: str) -> Callable[[Any], Any]:
    """Return the function that shows a result as a ``"figure"`` or as ``"html"``."""
    module, _, name = _functions[kind].partition(":")
    function: Callable[[Any], Any] = getattr(import_module(module), name)
    return function
