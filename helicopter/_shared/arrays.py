"""The arrays and callbacks that cross between floors; `backends.protocol` says what they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Image", "Labels", "Map", "Mask", "Progress"]

Image: TypeAlias = "NDArray[np.float32]"
Mask: TypeAlias = "NDArray[np.bool_]"
Map: TypeAlias = "NDArray[np.float32]"
Labels: TypeAlias = "NDArray[np.int32]"
#: Called with (done, total); may raise to stop the work.
Progress: TypeAlias = "Callable[[int, int], None]"
