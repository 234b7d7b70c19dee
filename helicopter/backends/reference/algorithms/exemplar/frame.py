"""Images in the form in which patches are compared: four bytes a pixel, at several resolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy.ndimage import distance_transform_cdt, maximum_filter, minimum_filter

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

__all__ = ["MARGIN", "Frame", "fill_membrane"]

#: Pixels of margin around every frame: the radius of the largest patch.
MARGIN = 3
#: Rows and columns around a pixel over which it is said how busy the image is.
BUSY = 2
#: What a mean difference of one level between neighbours counts in the fourth channel.
BUSY_GAIN = 4
#: How often every hidden pixel of the membrane becomes the mean of its neighbours.
MEMBRANE_SWEEPS = 16

_Index = TypeVar("_Index", int, "NDArray[np.int64]")


@dataclass
class Frame:
    """Pixels of three colours and of how busy the neighbourhood is, with a margin around them.

    Attributes
    ----------
    height, width : int
        Without the margin.
    pixels : uint8 ndarray of shape (height + 2 * MARGIN, width + 2 * MARGIN, 4)
        Grey stands in all three colours. 0 in the margin.
    visible : bool ndarray
        False in the margin.
    """

    height: int
    width: int
    pixels: NDArray[np.uint8]
    visible: NDArray[np.bool_]

    @classmethod
    def of_image(cls, image: NDArray[np.float32], mask: NDArray[np.bool_]) -> Frame:
        """Round the visible pixels to 256 levels; hidden ones are not looked at."""
        visible = _with_margin(~mask)
        levels = np.where(mask[:, :, None], np.float32(0), image) * np.float32(255)
        colours = (levels + np.float32(0.5)).astype(np.uint8)
        pixels = np.zeros((*mask.shape, 4), dtype=np.uint8)
        pixels[:, :, :3] = colours
        frame = cls(mask.shape[0], mask.shape[1], _with_margin(pixels), visible)
        frame.pixels[:, :, 3] = _busy(frame)
        return frame

    @property
    def stride(self) -> int:
        """Pixels from one row to the next."""
        return self.width + 2 * MARGIN

    @property
    def inside(self) -> NDArray[np.bool_]:
        """False in the margin."""
        return _with_margin(np.ones((self.height, self.width), dtype=bool))

    @property
    def hidden(self) -> int:
        """Number of hidden pixels."""
        return self.height * self.width - int(np.count_nonzero(self.visible))

    def at(self, y: _Index, x: _Index) -> _Index:
        """Index of the pixel in row y and column x."""
        return (y + MARGIN) * self.stride + x + MARGIN

    def place(self, at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column of the pixel with an index."""
        return at // self.stride - MARGIN, at % self.stride - MARGIN

    def holds(self, y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether rows and columns are inside the image."""
        return (y >= 0) & (y < self.height) & (x >= 0) & (x < self.width)

    def halved(self) -> Frame:
        """At half the resolution: a pixel is visible if one of its four is, and their mean."""
        height, width = -(-self.height // 2), -(-self.width // 2)
        # beyond the last row or column lies the margin, which is not visible
        quads = np.s_[MARGIN : MARGIN + 2 * height, MARGIN : MARGIN + 2 * width]
        seen = self.visible[quads].reshape(height, 2, width, 2)
        count = seen.sum(axis=(1, 3), dtype=np.int32)[:, :, None]
        values = np.where(self.visible[..., None], self.pixels, 0)[quads]
        total = values.reshape(height, 2, width, 2, 4).sum(axis=(1, 3), dtype=np.int32)
        mean = (2 * total + count) // np.maximum(2 * count, 1)
        return Frame(
            height, width, _with_margin(mean.astype(np.uint8)), _with_margin(count[:, :, 0] > 0)
        )

    def distances(self) -> NDArray[np.int32]:
        """Steps of a king from every pixel to the nearest visible one, at most 255; 0 outside."""
        inner = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
        steps = distance_transform_cdt(~self.visible[inner], metric="chessboard")
        return _with_margin(np.minimum(steps, 255))

    def sources(self, radius: int) -> NDArray[np.bool_]:
        """Whether each pixel is the centre of a patch that is wholly visible."""
        return np.asarray(minimum_filter(self.visible, 2 * radius + 1, mode="constant", cval=0))

    def near_hidden(self, radius: int) -> NDArray[np.bool_]:
        """Whether a hidden pixel is no more than `radius` rows and columns away from each pixel."""
        inside = self.inside
        hidden = inside & ~self.visible
        return inside & maximum_filter(hidden, 2 * radius + 1, mode="constant", cval=0)


_Array = TypeVar("_Array", bound="NDArray[Any]")


def _with_margin(values: _Array) -> _Array:
    width = [(MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)][: values.ndim]
    return np.pad(values, width)  # type: ignore[return-value]


def _busy(frame: Frame) -> NDArray[np.uint8]:
    """Mean difference of visible neighbours around every visible pixel."""
    red, green, blue = (frame.pixels[:, :, c].astype(np.int32) for c in range(3))
    grey = (red + 2 * green + blue + 2) // 4
    visible = frame.visible
    total = np.zeros_like(grey)
    count = np.zeros_like(grey)
    for axis in (0, 1):
        # a pixel and the one below it, or to its right
        one, other = (np.s_[:-1], np.s_[1:]) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        both = visible[one] & visible[other]
        total[one] += both * np.abs(grey[one] - grey[other])
        count[one] += both
    for axis in (0, 1):
        total, count = (_sum_around(values, axis) for values in (total, count))
    busy = np.minimum(BUSY_GAIN * total // np.maximum(count, 1), 255)
    return np.where(visible, busy, 0).astype(np.uint8)


def _sum_around(values: NDArray[np.int32], axis: int) -> NDArray[np.int32]:
    width = [(0, 0), (0, 0)]
    width[axis] = (BUSY, BUSY)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, width), 2 * BUSY + 1, axis)
    return np.asarray(windows.sum(axis=-1, dtype=np.int32))


def fill_membrane(frame: Frame) -> None:
    """Stretch a membrane over the holes: the first guess at the coarsest level.

    Cascadic iteration (Bornemann & Deuflhard, Numer. Math. 75, 1996): the guess of half the
    resolution, smoothed. It need not be exact, but it must be the same to the bit in both backends,
    and the exact solution of `pde` is not: a rounding there could tip everything that follows.
    """
    if not frame.hidden:
        return
    coarse = frame.halved()
    fill_membrane(coarse)
    inside = frame.inside
    y, x = np.nonzero(inside & ~frame.visible)
    values = frame.pixels.astype(np.float32)
    values[y, x] = coarse.pixels[(y - MARGIN) // 2 + MARGIN, (x - MARGIN) // 2 + MARGIN]
    degree = np.zeros(y.size, dtype=np.float32)
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        degree += inside[y + dy, x + dx]
    for _ in range(MEMBRANE_SWEEPS):
        # the margin is zero
        total = values[y - 1, x] + values[y + 1, x]
        total += values[y, x - 1]
        total += values[y, x + 1]
        values[y, x] = total / degree[:, None]
    frame.pixels[y, x] = (values[y, x] + np.float32(0.5)).astype(np.uint8)
