"""Masking strategies: what `test_understanding` hides.

Every strategy puts patches (or regions) in an order and hides the last share of it, so that the
difficulty is the share of the image that is hidden. Random choices come from the generator that
both backends share. Masks are made here for both of them: there is one truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from helicopter._shared.patches import PatchGrid
from helicopter._shared.ranking import STREAM_MASK, random_ranks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Mask

__all__ = ["MASKING_STRATEGIES", "make_mask"]

#: (grid, image, seed) -> value of each patch; the patches with the largest values are hidden.
_Order: TypeAlias = "Callable[[PatchGrid, Image, int], NDArray[np.float64]]"

#: Grey values are told apart in this many classes when regions are looked for.
REGION_CLASSES = 6
#: Details smaller than about this many pixels do not make a region.
REGION_SCALE = 3.0


def make_mask(strategy: str, image: Image, difficulty: float, patch_size: int, seed: int) -> Mask:
    """Hide about the share `difficulty` of an image.

    Parameters
    ----------
    strategy : str
        One of `MASKING_STRATEGIES`.
    image : float32 ndarray of shape (H, W, C)
        In [0, 1]; looked at by ``frequency_bands`` and ``semantic_regions`` only.
    difficulty : float
        Share of the pixels to hide, in (0, 1).
    patch_size : int
        Side of the patches, in pixels. ``semantic_regions`` does not use it.
    seed : int

    Returns
    -------
    bool ndarray of shape (H, W)
        True = hidden; at least one patch is hidden and one visible.
    """
    height, width, _ = image.shape
    if strategy == "semantic_regions":
        return _semantic_regions(image, difficulty, seed)
    grid = PatchGrid(height, width, patch_size)
    order = _ORDERS[strategy](grid, image, seed)
    ties = random_ranks(seed, STREAM_MASK, grid.count)
    # lexsort's last key is the first to decide; equal patches are hidden in seeded order
    ranked = np.lexsort((ties, -order))
    count = min(max(round(difficulty * grid.count), 1), grid.count - 1)
    hidden = np.zeros(grid.count, dtype=bool)
    hidden[ranked[:count]] = True
    return grid.pixels(hidden)


def _coordinates(grid: PatchGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column of each patch, from -1 at one border to 1 at the other."""
    y = np.linspace(-1, 1, grid.rows) if grid.rows > 1 else np.zeros(1)
    x = np.linspace(-1, 1, grid.cols) if grid.cols > 1 else np.zeros(1)
    return np.repeat(y, grid.cols), np.tile(x, grid.rows)


def _random_patches(grid: PatchGrid, image: Image, seed: int) -> NDArray[np.float64]:
    return np.zeros(grid.count)


def _center_out(grid: PatchGrid, image: Image, seed: int) -> NDArray[np.float64]:
    """Reveal the middle first: what lies farthest out is hidden."""
    y, x = _coordinates(grid)
    return np.asarray(np.maximum(np.abs(y), np.abs(x)), dtype=np.float64)


def _edge_in(grid: PatchGrid, image: Image, seed: int) -> NDArray[np.float64]:
    """Reveal the border first: the middle is hidden."""
    return np.negative(_center_out(grid, image, seed))


def _progressive_reveal(grid: PatchGrid, image: Image, seed: int) -> NDArray[np.float64]:
    """Reveal a coarse lattice first, then finer and finer ones."""
    row, col = np.divmod(np.arange(grid.count), grid.cols)
    spacing = np.asarray(
        row | col, dtype=np.int64
    )  # its lowest set bit is the finest lattice that the patch belongs to
    lowest = np.where(spacing == 0, 1 << 40, spacing & -spacing)
    return np.asarray(-lowest, dtype=np.float64)


def _quadrant_reveal(grid: PatchGrid, image: Image, seed: int) -> NDArray[np.float64]:
    """Reveal quadrant after quadrant, in seeded order, each from its upper left."""
    y, x = _coordinates(grid)
    quadrant = 2 * (y > 0) + (x > 0)
    turn = np.argsort(np.argsort(random_ranks(seed, STREAM_MASK + 1, 4)))
    return np.asarray(turn[quadrant] * grid.count + np.arange(grid.count), dtype=np.float64)


def _frequency_bands(grid: PatchGrid, image: Image, seed: int) -> NDArray[np.float64]:
    """Reveal smooth patches first: those with most energy in high frequencies are hidden."""
    from scipy import ndimage  # slow to import, and the Rust backend does without

    energy = np.zeros(image.shape[:2])
    for channel in range(image.shape[2]):
        plane = image[:, :, channel].astype(np.float64)
        energy += np.square(ndimage.laplace(plane, mode="nearest"))
    return np.asarray(grid.sums(energy) / grid.sums(np.ones_like(energy)))


def _spiral_reveal(grid: PatchGrid, image: Image, seed: int) -> NDArray[np.float64]:
    """Reveal along a spiral from the middle."""
    row, col = np.divmod(np.arange(grid.count), grid.cols)
    y, x = row - (grid.rows - 1) // 2, col - (grid.cols - 1) // 2
    ring = np.maximum(np.abs(y), np.abs(x))
    angle = np.arctan2(y, x)
    return np.asarray(ring + (angle + np.pi) / (2 * np.pi + 1e-9), dtype=np.float64)


def _checkerboard(grid: PatchGrid, image: Image, seed: int) -> NDArray[np.float64]:
    """Hide the black fields first, then the white ones."""
    row, col = np.divmod(np.arange(grid.count), grid.cols)
    return np.asarray((row + col) % 2, dtype=np.float64)


def _radial_bands(grid: PatchGrid, image: Image, seed: int) -> NDArray[np.float64]:
    """Hide rings around the middle: the outer part of every four patches of radius first."""
    row, col = np.divmod(np.arange(grid.count), grid.cols)
    radius = np.hypot(row - (grid.rows - 1) / 2, col - (grid.cols - 1) / 2)
    return np.asarray(np.mod(radius, 4.0))


def _semantic_regions(image: Image, difficulty: float, seed: int) -> Mask:
    """Hide whole connected regions of similar grey, in seeded order; the last one in part."""
    from scipy import ndimage

    grey = image.mean(axis=2, dtype=np.float64)
    smooth = ndimage.gaussian_filter(grey, REGION_SCALE, mode="nearest")
    bounds = np.quantile(smooth, np.arange(1, REGION_CLASSES) / REGION_CLASSES)
    classes = np.searchsorted(bounds, smooth)
    labels = np.zeros(grey.shape, dtype=np.int64)
    regions = 0
    for value in range(REGION_CLASSES):
        found, count = ndimage.label(classes == value)
        labels[found > 0] = found[found > 0] + regions - 1
        regions += count
    turn = np.argsort(np.argsort(random_ranks(seed, STREAM_MASK, regions), kind="stable"))
    # within the last region pixels go in row-major order, so that the share is met exactly
    order = np.argsort(turn[labels].ravel(), kind="stable")
    count = min(max(round(difficulty * grey.size), 1), grey.size - 1)
    hidden = np.zeros(grey.size, dtype=bool)
    hidden[order[:count]] = True
    return hidden.reshape(grey.shape)


_ORDERS: dict[str, _Order] = {
    "random_patches": _random_patches,
    "center_out": _center_out,
    "edge_in": _edge_in,
    "progressive_reveal": _progressive_reveal,
    "quadrant_reveal": _quadrant_reveal,
    "frequency_bands": _frequency_bands,
    "spiral_reveal": _spiral_reveal,
    "checkerboard": _checkerboard,
    "radial_bands": _radial_bands,
}

#: Names of all masking strategies.
MASKING_STRATEGIES: tuple[str, ...] = (
    "random_patches",
    "center_out",
    "edge_in",
    "progressive_reveal",
    "quadrant_reveal",
    "frequency_bands",
    "semantic_regions",
    "spiral_reveal",
    "checkerboard",
    "radial_bands",
)
