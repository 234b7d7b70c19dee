"""Figures as the bytes of a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from helicopter._shared.interruptible import interruptible

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

__all__ = ["figure_png"]


def figure_png(draw: Callable[[], Figure]) -> bytes:
    """Return the figure that `draw` makes as PNG.

    Both are done in another thread: a KeyboardInterrupt within matplotlib can come out as another
    error, or be lost.
    """

    def save() -> bytes:
        buffer = io.BytesIO()
        draw().savefig(buffer, format="png")
        return buffer.getvalue()

    return interruptible(save)
