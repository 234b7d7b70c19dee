"""What is measured of the 8 x 8 blocks of an image: energies of cosine coefficients, and more.

Blocks overlap, and are judged one at a time. Their coefficients fall into seven bands, from the
lowest frequencies, which belong to the content, to the highest, which in calm places belong to the
noise (Ponomarenko et al., "An automatic approach to lossy compression of AVIRIS images", IGARSS
2007, was the first to look there). Colour is looked at in opponent planes: the noise of a camera's
channels is as strong in all three, the content is nearly all in the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helicopter.backends._threads import share_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Mask

__all__ = ["BANDS", "SIDE", "Blocks", "measure_blocks"]

SIDE = 8
BANDS = 7
#: Side of the cells that sums over blocks are put together from.
CELL = 4
#: Images of more pixels have blocks further apart: first the rows, then the columns. Of the smaller
#: copies, less is asked.
SPARSE, SPARSE_COPIES = (2**18, 2**19), (2**16, 2**17)
#: Blocks whose coefficients have less mean energy (in squared levels) are constant, up to rounding.
CONSTANT = 1e-6
#: How near the ends of the range counts as there: subtracting from an image leaves roundings.
AT_THE_ENDS = 1e-2
#: Rows of blocks at a time: bounds the memory.
STRIP = 64

_OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3.0], [2.0], [6.0]])


def _cosines() -> NDArray[np.float32]:
    """The orthonormal transform of flattened 8 x 8 blocks."""
    n = np.arange(SIDE)
    one = np.cos(np.pi * (2 * n[None, :] + 1) * n[:, None] / (2 * SIDE)) / 2
    one[0] /= np.sqrt(2)
    return np.kron(one, one).astype(np.float32)


def _band(u: int, v: int) -> int:
    """Band of the coefficient of row frequency u and column frequency v."""
    if u + v == 1 or (u, v) == (1, 1):
        return 0
    if u + v <= 3:
        return 1
    if u <= 1 and v >= 4:
        return 5
    if v <= 1 and u >= 4:
        return 6
    return 2 if u + v <= 6 else 3 if u + v <= 9 else 4


def _band_means() -> NDArray[np.float32]:
    """Turns squared coefficients into the mean of each band, the constant one left out."""
    members: NDArray[np.float64] = np.zeros((SIDE * SIDE, BANDS))
    for index in range(1, SIDE * SIDE):
        members[index, _band(*divmod(index, SIDE))] = 1
    return np.asarray(members / members.sum(axis=0), dtype=np.float32)


COSINES, BAND_MEANS = _cosines(), _band_means()
#: Band means to the mean of all coefficients but the constant one.
BAND_SHARE = (np.array([3, 6, 8, 15, 15, 8, 8]) / 63).astype(np.float32)


@dataclass(frozen=True)
class Blocks:
    """Measurements of N blocks in P planes (1, or 3 opponent ones) of C channels, in levels.

    Attributes
    ----------
    lattice : tuple of int
        Rows and columns of blocks.
    stride : tuple of int
        Pixels from one block to the next.
    energy : float32 ndarray of shape (N, P, 7)
    fine : float32 ndarray of shape (N, P)
        Mean energy of the two highest bands.
    cross : float32 ndarray of shape (N, 3)
        Mean products of the planes' coefficients there; of no columns for grey.
    mean : float32 ndarray of shape (N, C)
    clipped : float32 ndarray of shape (N,)
        Share of values at the ends of the image's range.
    square, fourth : float32 ndarray of shape (N,)
        Mean square and fourth power of the diagonal differences of squares of 2 x 2 pixels.
    valid : bool ndarray of shape (N,)
        Neither constant nor touched by an excluded pixel.
    """

    lattice: tuple[int, int]
    stride: tuple[int, int]
    energy: NDArray[np.float32]
    fine: NDArray[np.float32]
    cross: NDArray[np.float32]
    mean: NDArray[np.float32]
    clipped: NDArray[np.float32]
    square: NDArray[np.float32]
    fourth: NDArray[np.float32]
    valid: NDArray[np.bool_]


def stride_of(height: int, width: int, *, copy: bool) -> tuple[int, int]:
    """Pixels between blocks: large images have more than enough of them."""
    down, right = (
        2 * CELL if height * width > enough else CELL
        for enough in (SPARSE_COPIES if copy else SPARSE)
    )
    return down, right


def measure_blocks(
    levels: Image,
    included: Mask,
    low: float,
    high: float,
    *,
    copy: bool,
) -> Blocks:
    """Look at all blocks.

    Parameters
    ----------
    levels : float32 ndarray of shape (H, W, C), both sides at least 8
    included : bool ndarray of shape (H, W)
    low, high : float
        Ends of the image's range, where values may have been clipped.
    copy : bool
        Whether this is a smaller copy of the image.
    """
    height, width, _ = levels.shape
    step_y, step_x = stride_of(height, width, copy=copy)
    rows, columns = (height - SIDE) // step_y + 1, (width - SIDE) // step_x + 1

    def strip(first: int) -> tuple[NDArray[np.generic], ...]:
        count = min(STRIP, rows - first)
        window = slice(first * step_y, (first + count - 1) * step_y + SIDE)
        return _strip(levels[window], included[window], low, high, (step_y, step_x), columns)

    strips = share_out(strip, range(0, rows, STRIP))
    joined = [np.concatenate(parts) for parts in zip(*strips, strict=True)]
    return Blocks((rows, columns), (step_y, step_x), *joined)


def _strip(
    levels: Image,
    included: Mask,
    low: float,
    high: float,
    step: tuple[int, int],
    columns: int,
) -> tuple[NDArray[np.generic], ...]:
    """The arrays of `Blocks`, of some rows of blocks."""
    channels = levels.shape[2]
    width = (columns - 1) * step[1] + SIDE
    levels, included = levels[:, :width], included[:, :width]
    planes = levels if channels == 1 else levels @ _OPPONENT.T.astype(np.float32)
    cut = np.lib.stride_tricks.sliding_window_view(planes, (SIDE, SIDE), axis=(0, 1))
    cut = cut[:: step[0], :: step[1]]  # (rows, columns, P, 8, 8)
    flat = cut.reshape(-1, channels, SIDE * SIDE)
    coefficients = flat @ COSINES.T
    energy = np.square(coefficients) @ BAND_MEANS
    fine = (energy[..., 3] + energy[..., 4]) / 2
    cross = np.empty((len(flat), 0), dtype=np.float32)
    if channels == 3:
        high_bands = (BAND_MEANS[:, 3] + BAND_MEANS[:, 4]) / 2
        pairs = [coefficients[:, i] * coefficients[:, j] for i, j in ((0, 1), (0, 2), (1, 2))]
        cross = np.stack([pair @ high_bands for pair in pairs], axis=1)
    constant = coefficients[..., 0] / SIDE
    mean = constant if channels == 1 else constant @ _OPPONENT.astype(np.float32)
    near = np.float32(AT_THE_ENDS)
    ends = ((levels <= low + near) | (levels >= high - near)).sum(
        axis=2, dtype=np.float32
    ) * included
    clipped = _block_sums(ends, step, 1) / np.float32(SIDE * SIDE * channels)
    outside = _block_sums((~included).astype(np.float32), step, 1)
    # the luminance has the content's edges in it, the other planes less of them
    diagonal = _diagonals(planes if channels == 1 else planes[..., 1:])
    count = np.float32(diagonal.shape[2] * (SIDE // 2) ** 2)
    square = _block_sums(np.square(diagonal).sum(axis=2), step, 2) / count
    fourth = _block_sums(np.square(np.square(diagonal)).sum(axis=2), step, 2) / count
    valid = ((energy @ BAND_SHARE).max(axis=1) > CONSTANT) & (outside == 0)
    return energy, fine, cross, mean, clipped, square, fourth, valid


def _diagonals(planes: Image) -> Image:
    """Diagonal differences of the squares of 2 x 2 pixels."""
    a, b = planes[0::2, 0::2], planes[0::2, 1::2]
    c, d = planes[1::2, 0::2], planes[1::2, 1::2]
    return (a - b - c + d) / np.float32(2)


def _block_sums(values: Image, step: tuple[int, int], pixels: int) -> NDArray[np.float32]:
    """Sums over all blocks of values that stand for `pixels` pixels a side each."""
    cell = CELL // pixels
    rows, columns = values.shape[0] // cell, values.shape[1] // cell
    cells = values.reshape(rows, cell, columns, cell).sum(axis=(1, 3))
    blocks = cells[:-1, :-1] + cells[:-1, 1:] + cells[1:, :-1] + cells[1:, 1:]
    return np.asarray(blocks[:: step[0] // CELL, :: step[1] // CELL].reshape(-1))
