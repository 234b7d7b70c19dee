"""The patch grid: which pixels belong to which patch, and sums over patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PatchGrid"]


@dataclass(frozen=True)
class PatchGrid:
    """Square patches of side `size` over an image; those at the far borders may be smaller."""

    height: int
    width: int
    size: int

    @property
    def rows(self) -> int:
        return -(-self.height // self.size)

    @property
    def cols(self) -> int:
        return -(-self.width // self.size)

    @property
    def count(self) -> int:
        return self.rows * self.cols

    def box(self, patch: int) -> tuple[slice, slice]:
        """Rows and columns of the pixels of `patch`."""
        top, left = patch // self.cols * self.size, patch % self.cols * self.size
        return (
            slice(top, min(top + self.size, self.height)),
            slice(left, min(left + self.size, self.width)),
        )

    def window(self, patch: int, side: int) -> tuple[slice, slice]:
        """Rows and columns of the window of `side` pixels around `patch`, cut at the border."""
        margin = (side - self.size) // 2
        top = patch // self.cols * self.size - margin
        left = patch % self.cols * self.size - margin
        return (
            slice(max(top, 0), min(top + side, self.height)),
            slice(max(left, 0), min(left + side, self.width)),
        )

    def centres(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Row and column of the pixel in the middle of every patch."""
        y = np.minimum(np.arange(self.rows) * self.size + self.size // 2, self.height - 1)
        x = np.minimum(np.arange(self.cols) * self.size + self.size // 2, self.width - 1)
        return np.repeat(y, self.cols), np.tile(x, self.rows)

    def sums(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum an (H, W) array over each patch."""
        down = np.add.reduceat(values, np.arange(0, self.height, self.size), axis=0)
        both = np.add.reduceat(down, np.arange(0, self.width, self.size), axis=1)
        return np.asarray(both.ravel())

    def pixels(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give every pixel the value of its patch: (count,) -> (H, W)."""
        grid = values.reshape(self.rows, self.cols)
        y = np.arange(self.height) // self.size
        x = np.arange(self.width) // self.size
        return np.asarray(grid[y[:, None], x])
