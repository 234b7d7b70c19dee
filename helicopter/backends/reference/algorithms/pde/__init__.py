"""Harmonic and biharmonic fill: the hidden pixels as the solution of a differential equation.

Let ``L`` be the graph Laplacian of the pixel grid (four neighbours, natural border). Hidden pixels
take the values for which

- *harmonic*: ``(L u) = 0`` at every hidden pixel (a stretched membrane: least squared slope);
- *biharmonic*: ``(L L u) = 0`` at every hidden pixel (a bent plate: least squared Laplacian),

while visible pixels keep theirs. Both systems are symmetric and positive definite. Small ones are
solved by sparse factorisation, large ones by conjugate gradients preconditioned with a geometric
multigrid cycle (Trottenberg, Oosterlee & Schuller, *Multigrid*, 2001; Tatebe 1993), which is
iterated until the remaining error, not only the residual, is negligible.

Biharmonic inpainting: Chui & Mhaskar, "MRA contextual-recovery extension of smooth functions on
manifolds", Appl. Comput. Harmon. Anal. 28 (2010); Damelin & Hoang, "On surface completion and image
inpainting by biharmonic functions", Int. J. Math. Math. Sci. (2018).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sparse

from helicopter._shared.blas import blas_on_one_thread
from helicopter._shared.factorization import factorize
from helicopter._shared.interruptible import interruptible
from helicopter.backends.protocol import PdeKind

from .multigrid import MultigridHierarchy, conjugate_gradients

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse.linalg import SuperLU

__all__ = ["PdeKind", "solve"]

#: Systems up to this many unknowns are factorised; the fill-in of larger ones outgrows memory.
DIRECT_LIMIT = {"harmonic": 1_000_000, "biharmonic": 300_000}
#: Largest change that the preconditioned residual may still promise, on the [0, 1] scale.
TOLERANCE = 1e-9
#: Larger regions are solved tile by tile, so that memory does not grow with the image.
TILE_FROM_PIXELS = 4_200_000
TILE_SIDE, TILE_OVERLAP = 1024, 128
TILE_SWEEPS, TILE_TOLERANCE = 60, 1e-6


@blas_on_one_thread()
def solve(image: NDArray[np.float32], mask: NDArray[np.bool_], kind: PdeKind) -> None:
    """Fill the hidden pixels of `image` in place.

    Parameters
    ----------
    image : float32 ndarray of shape (H, W, C)
        In [0, 1]. What stands at hidden pixels is never read.
    mask : bool ndarray of shape (H, W)
        True = hidden. At least one pixel must be visible.
    kind : {"harmonic", "biharmonic"}
    """
    if not mask.any():
        return
    image[mask] = 0
    rows, cols = _bounding_box(mask, margin=2)
    image, mask = image[rows, cols], mask[rows, cols]
    if mask.size <= TILE_FROM_PIXELS:
        _solve_region(image, mask, kind)
    else:
        _solve_by_tiles(image, mask, kind)
    np.clip(image, 0.0, 1.0, out=image, where=mask[:, :, None])


def _bounding_box(mask: NDArray[np.bool_], margin: int) -> tuple[slice, slice]:
    """Rows and columns that hold all hidden pixels and the visible ones that they can see."""
    box = []
    for axis in (1, 0):
        (hit,) = np.nonzero(mask.any(axis=axis))
        box.append(slice(max(int(hit[0]) - margin, 0), int(hit[-1]) + margin + 1))
    return box[0], box[1]


def _solve_region(image: NDArray[np.float32], mask: NDArray[np.bool_], kind: PdeKind) -> None:
    """Solve one system for all hidden pixels of the region."""
    matrix, load = assemble(image, mask, kind)
    if matrix.shape[0] <= DIRECT_LIMIT[kind]:
        image[mask] = interruptible(lambda: _factorise(matrix).solve(load))
    else:
        hierarchy = MultigridHierarchy(matrix, mask)
        image[mask] = conjugate_gradients(matrix, load, hierarchy, TOLERANCE)


def _factorise(matrix: sparse.csr_array) -> SuperLU:
    # minimum degree on the pattern of a symmetric matrix, and its diagonal as pivots
    return factorize(
        matrix.tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )


def _solve_by_tiles(image: NDArray[np.float32], mask: NDArray[np.bool_], kind: PdeKind) -> None:
    """Alternating Schwarz: solve overlapping tiles in turn until nothing changes any more.

    The first guess comes from the same problem at half the resolution, so that a hole that spans
    many tiles is right at large scales before the tiles settle the small ones.
    """
    _guess_from_half_resolution(image, mask, kind)
    height, width = mask.shape
    step = TILE_SIDE - TILE_OVERLAP
    for _ in range(TILE_SWEEPS):
        change = 0.0
        for top in range(0, max(height - TILE_OVERLAP, 1), step):
            for left in range(0, max(width - TILE_OVERLAP, 1), step):
                box = np.s_[top : top + TILE_SIDE, left : left + TILE_SIDE]
                inner = mask[box].copy()
                # two rims of the present values hold the tile, as the plate equation needs two
                for edge, at_border in (
                    (np.s_[:2, :], top == 0),
                    (np.s_[-2:, :], top + TILE_SIDE >= height),
                    (np.s_[:, :2], left == 0),
                    (np.s_[:, -2:], left + TILE_SIDE >= width),
                ):
                    if not at_border:
                        inner[edge] = False
                if inner.any():
                    tile = image[box].copy()
                    _solve_region(tile, inner, kind)
                    change = max(change, float(np.abs(tile - image[box]).max()))
                    image[box] = tile
        if change < TILE_TOLERANCE:
            return


def _guess_from_half_resolution(
    image: NDArray[np.float32], mask: NDArray[np.bool_], kind: PdeKind
) -> None:
    height, width = (side // 2 for side in mask.shape)
    blocks = mask[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
    hidden = np.asarray(blocks.all(axis=(1, 3)))
    visible = (~blocks).sum(axis=(1, 3), dtype=np.float32)
    total = image[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1).sum(axis=(1, 3))
    coarse = total / np.maximum(visible, 1)[:, :, None]
    if hidden.all():
        return
    solve(coarse, hidden, kind)
    y = np.minimum(np.arange(mask.shape[0]) // 2, height - 1)
    for row, source in enumerate(y):  # row by row: the fine guess is never held twice
        x = np.minimum(np.arange(mask.shape[1]) // 2, width - 1)
        image[row] = np.where(mask[row, :, None], coarse[source, x], image[row])


def laplacian(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply the graph Laplacian of the pixel grid: degree times value minus the neighbours."""
    out = np.zeros_like(u)
    down = u[1:] - u[:-1]
    right = u[:, 1:] - u[:, :-1]
    out[1:] += down
    out[:-1] -= down
    out[:, 1:] += right
    out[:, :-1] -= right
    return out


def assemble(
    image: NDArray[np.float32], mask: NDArray[np.bool_], kind: PdeKind
) -> tuple[sparse.csr_array, NDArray[np.float64]]:
    """Return the matrix over the hidden pixels and the load that the visible pixels put on them.

    Returns
    -------
    matrix : CSR array of shape (n, n)
        Hidden pixels in row-major order.
    load : float64 ndarray of shape (n, C)
    """
    number = np.full(mask.shape, -1, dtype=np.int64)
    count = int(np.count_nonzero(mask))
    number[mask] = np.arange(count)
    visible = np.where(mask[:, :, None], 0.0, image.astype(np.float64))
    if kind == "harmonic":
        return _laplacian_columns(number, count)[mask.ravel()], -laplacian(visible)[mask]
    # L is symmetric, so the hidden part of L L is a Gram matrix of the hidden columns of L
    columns = _laplacian_columns(number, count)
    return (columns.T @ columns).tocsr(), -laplacian(laplacian(visible))[mask]


def _laplacian_columns(number: NDArray[np.int64], count: int) -> sparse.csr_array:
    """Build the columns of the Laplacian that belong to hidden pixels: (all pixels, hidden)."""
    height, width = number.shape
    hidden = number >= 0
    degree = np.full(number.shape, 4.0)
    degree[0] -= 1
    degree[-1] -= 1
    degree[:, 0] -= 1
    degree[:, -1] -= 1
    pixel = np.arange(height * width).reshape(height, width)
    rows, cols, values = [pixel[hidden]], [number[hidden]], [degree[hidden]]
    for near, far in (
        (np.s_[1:, :], np.s_[:-1, :]),
        (np.s_[:-1, :], np.s_[1:, :]),
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[:, :-1], np.s_[:, 1:]),
    ):
        seen = hidden[far]
        rows.append(pixel[near][seen])
        cols.append(number[far][seen])
        values.append(np.full(rows[-1].size, -1.0))
    triplets = (np.concatenate(values), (np.concatenate(rows), np.concatenate(cols)))
    return sparse.coo_array(triplets, shape=(height * width, count)).tocsr()
