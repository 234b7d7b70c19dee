"""How far a filled pixel may be off, told from the visible pixels alone.

The variance of a linear prediction is a linear function of the image's variogram (Matheron 1963;
Cressie, *Statistics for Spatial Data*, 1993, section 3.2). So the variance of the error at a hidden
pixel is modelled as

    sigma^2 = T[d, 0] + T[d, 1] V_1 + T[d, 2] V_4 + T[d, 3] V_16

where ``V_lag`` is the mean squared difference of visible pixels `lag` apart in the neighbourhood
and ``d`` the distance to the nearest visible pixel. The table ``T`` is fitted by
``training/fit_classical_uncertainty.py``.

Sums are taken over integers and everything else in a fixed order, so that both backends give the
same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter.models import UncertaintyModel

__all__ = [
    "hidden_distance",
    "hidden_variance",
    "interpolate_cells",
    "local_variogram",
    "squared_distance",
]

#: Pixel pairs this far apart are compared, along rows and along columns.
LAGS = (1, 4, 16)
#: The variogram is collected in square cells of this side ...
CELL = 8
#: ... and averaged over windows that reach this many cells to each side.
REACH = 3
#: The whole image's variogram enters every window with the weight of this many pairs.
PRIOR_PAIRS = 32.0
#: With not a single pair to compare, values are taken for independent and uniform on [0, 1].
NO_PAIRS = 1.0 / 6.0
#: Grey levels on [0, 1] are counted in steps of 1 / LEVELS, so that sums are exact.
LEVELS = 65535
#: Rows worked on at a time; bounds the memory for large images.
STRIP = 512
#: Larger distances count as this.
FARTHEST = 64


def hidden_variance(
    context: NDArray[np.float32], mask: NDArray[np.bool_], model: UncertaintyModel
) -> NDArray[np.float32]:
    """Predict the variance of the error of every hidden pixel.

    Parameters
    ----------
    context : float32 ndarray of shape (H, W, C)
        In [0, 1]; what stands at hidden pixels is never read.
    mask : bool ndarray of shape (H, W)
        True = hidden.
    model : UncertaintyModel

    Returns
    -------
    float32 ndarray of shape (H, W)
        0 at visible pixels.
    """
    height, width = mask.shape
    variogram = local_variogram(context, mask)
    variance = np.zeros((height, width), dtype=np.float32)
    table = model.variance_table
    farthest = table.shape[0] - 1
    for top in range(0, height, STRIP):
        bottom = min(top + STRIP, height)
        rows, cols = np.nonzero(mask[top:bottom])
        if rows.size == 0:
            continue
        # the table ends at `farthest`, so a halo of that many rows gives every distance it knows
        halo = max(top - farthest, 0)
        squared = squared_distance(mask[halo : bottom + farthest])
        distance = np.sqrt(squared[rows + (top - halo), cols].astype(np.float64))
        entry = table[np.minimum(distance, farthest).astype(np.intp)]
        total = entry[:, 0]
        for lag in range(len(LAGS)):
            total = total + entry[:, 1 + lag] * interpolate_cells(variogram[lag], rows + top, cols)
        variance[top:bottom][rows, cols] = total
    return variance


def hidden_distance(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the distance of every pixel to the nearest visible one, in pixels, at most 64."""
    distance = np.empty(mask.shape, dtype=np.float32)
    for top in range(0, mask.shape[0], STRIP):
        halo = max(top - FARTHEST, 0)
        squared = squared_distance(mask[halo : top + STRIP + FARTHEST])
        part = distance[top : top + STRIP]
        nearby = np.minimum(squared[top - halo : top - halo + part.shape[0]], FARTHEST**2)
        np.sqrt(nearby.astype(np.float32), out=part)
    return distance


def squared_distance(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the squared distance of every pixel to the nearest visible one; huge without one."""
    if mask.all():
        return np.full(mask.shape, np.iinfo(np.int32).max, dtype=np.int64)
    distance = distance_transform_edt(mask)
    return np.asarray(np.rint(np.square(distance)).astype(np.int64))


def local_variogram(context: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean squared difference at each lag around each cell, shape (lags, rows, cols)."""
    height, width, channels = context.shape
    cells = (-(-height // CELL), -(-width // CELL))
    sums = np.zeros((len(LAGS), *cells), dtype=np.int64)
    pairs = np.zeros((len(LAGS), *cells), dtype=np.int64)
    for top in range(0, height, STRIP):
        end = min(top + STRIP, height)
        # the strip's pairs reach down into the next one
        below = min(end + LAGS[-1], height)
        shown = ~mask[top:below]
        levels = np.zeros(context[top:below].shape, dtype=np.int64)
        levels[shown] = np.floor(context[top:below][shown].astype(np.float64) * LEVELS + 0.5)
        for index, lag in enumerate(LAGS):
            squares = np.zeros((end - top, width), dtype=np.int64)
            count = np.zeros((end - top, width), dtype=np.int64)
            for dy, dx in ((0, lag), (lag, 0)):
                h, w = min(end - top, below - top - dy), width - dx
                if h <= 0 or w <= 0:
                    continue
                both = shown[:h, :w] & shown[dy : dy + h, dx : dx + w]
                difference = levels[dy : dy + h, dx : dx + w] - levels[:h, :w]
                squares[:h, :w] += np.where(both, np.square(difference).sum(axis=2), 0)
                count[:h, :w] += both
            rows = slice(top // CELL, -(-end // CELL))
            sums[index, rows] = _sum_cells(squares)
            pairs[index, rows] = _sum_cells(count)
    scale = float(LEVELS) * float(LEVELS) * channels
    out = np.empty(sums.shape, dtype=np.float64)
    for index in range(len(LAGS)):
        total, count_all = int(sums[index].sum()), int(pairs[index].sum())
        everywhere = total / (scale * count_all) if count_all else NO_PAIRS
        window_sum, window_pairs = _window(sums[index]), _window(pairs[index])
        out[index] = (window_sum / scale + PRIOR_PAIRS * everywhere) / (window_pairs + PRIOR_PAIRS)
    return out


def _sum_cells(values: NDArray[np.int64]) -> NDArray[np.int64]:
    height, width = values.shape
    padded = np.pad(values, ((0, -height % CELL), (0, -width % CELL)))
    blocks = padded.reshape(padded.shape[0] // CELL, CELL, padded.shape[1] // CELL, CELL)
    return np.asarray(blocks.sum(axis=(1, 3)))


def _window(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum over the (2 REACH + 1)^2 cells around each, cut at the border."""
    for axis in (0, 1):
        length = values.shape[axis]
        running = np.insert(np.cumsum(values, axis=axis), 0, 0, axis=axis)
        index = np.arange(length)
        upper = np.minimum(index + REACH + 1, length)
        lower = np.maximum(index - REACH, 0)
        values = running.take(upper, axis=axis) - running.take(lower, axis=axis)
    return values


def interpolate_cells(
    cells: NDArray[np.float64], rows: NDArray[np.intp], cols: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Bilinear interpolation between cell centres, constant beyond the outermost ones."""
    (y0, y1, fy), (x0, x1, fx) = _between(rows, cells.shape[0]), _between(cols, cells.shape[1])
    upper = cells[y0, x0] * (1.0 - fx) + cells[y0, x1] * fx
    lower = cells[y1, x0] * (1.0 - fx) + cells[y1, x1] * fx
    return upper * (1.0 - fy) + lower * fy


def _between(
    position: NDArray[np.intp], count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Cell before, cell behind, and the share of the one behind, for each pixel position."""
    # the centre of cell k lies at CELL k + (CELL - 1) / 2; doubled, everything is an integer
    doubled = np.clip(2 * position - (CELL - 1), 0, 2 * CELL * (count - 1))
    before = doubled // (2 * CELL)
    share = (doubled - before * (2 * CELL)) / (2.0 * CELL)
    return before, np.minimum(before + 1, count - 1), share
