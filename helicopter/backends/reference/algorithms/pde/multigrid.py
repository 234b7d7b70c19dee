"""Conjugate gradients with a geometric multigrid preconditioner, for equations on masked grids.

Coarse unknowns are the hidden pixels with even coordinates; interpolation is bilinear and
restricted to hidden pixels (the error is zero at visible ones); coarse operators are Galerkin
products, so each coarse step can only shrink the energy of the error, whatever the shape of the
mask (Trottenberg, Oosterlee & Schuller, *Multigrid*, 2001, sections 2 and 7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sparse

from helicopter._shared.factorization import factorize

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MultigridHierarchy", "conjugate_gradients"]

COARSEST = 2_000
SMOOTHING_STEPS = 3
MAX_ITERATIONS = 2_000


class MultigridHierarchy:
    """A symmetric V-cycle for ``matrix``, whose rows are the hidden pixels of ``mask``."""

    def __init__(self, matrix: sparse.csr_array, mask: NDArray[np.bool_]) -> None:
        self.matrices = [matrix]
        self.interpolations: list[sparse.csr_array] = []
        while self.matrices[-1].shape[0] > COARSEST and min(mask.shape) > 2:
            coarse_mask = mask[::2, ::2]
            if not coarse_mask.any():
                break
            interpolation = _interpolation(mask, coarse_mask)
            self.interpolations.append(interpolation)
            self.matrices.append((interpolation.T @ (self.matrices[-1] @ interpolation)).tocsr())
            mask = coarse_mask
        self.inverse_diagonals = [1.0 / m.diagonal()[:, None] for m in self.matrices]
        # rows summed in absolute value bound the largest eigenvalue (Gershgorin)
        self.largest = [
            float((abs(m).sum(axis=1) * d[:, 0]).max())
            for m, d in zip(self.matrices, self.inverse_diagonals, strict=True)
        ]
        coarsest = self.matrices[-1]
        self.solve_coarsest = (
            factorize(coarsest.tocsc()).solve if coarsest.shape[0] <= 4 * COARSEST else None
        )

    def cycle(self, residual: NDArray[np.float64], level: int = 0) -> NDArray[np.float64]:
        """Approximate ``matrix^-1 residual``; symmetric, so that it may precondition."""
        if level == len(self.interpolations):
            if self.solve_coarsest is not None:
                return np.asarray(self.solve_coarsest(residual))
            return self._smooth(level, np.zeros_like(residual), residual)
        matrix, interpolation = self.matrices[level], self.interpolations[level]
        correction = self._smooth(level, np.zeros_like(residual), residual)
        coarse = interpolation.T @ (residual - matrix @ correction)
        correction += interpolation @ self.cycle(coarse, level + 1)
        return self._smooth(level, correction, residual)

    def _smooth(
        self, level: int, x: NDArray[np.float64], b: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Chebyshev iteration on the upper part of the spectrum (Saad 2003, algorithm 12.1)."""
        matrix, inverse = self.matrices[level], self.inverse_diagonals[level]
        high = self.largest[level]
        low = high / 12.0
        centre, half = (high + low) / 2, (high - low) / 2
        rho = half / centre
        step = inverse * (b - matrix @ x) / centre
        x = x + step
        for _ in range(SMOOTHING_STEPS - 1):
            rho_next = 1.0 / (2.0 * centre / half - rho)
            step = rho_next * rho * step + 2.0 * rho_next / half * (inverse * (b - matrix @ x))
            x = x + step
            rho = rho_next
        return x


def _interpolation(fine: NDArray[np.bool_], coarse: NDArray[np.bool_]) -> sparse.csr_array:
    """Bilinear interpolation from the hidden pixels of `coarse` to those of `fine`."""
    number = np.full(coarse.shape, -1, dtype=np.int64)
    count = int(np.count_nonzero(coarse))
    number[coarse] = np.arange(count)
    y, x = np.nonzero(fine)
    rows, cols, values = [], [], []
    for dy in (0, 1):
        for dx in (0, 1):
            # an even coordinate sits on a coarse line; an odd one halfway between two
            weight = np.where(y % 2, 0.5, 1.0 - dy) * np.where(x % 2, 0.5, 1.0 - dx)
            cy, cx = y // 2 + dy, x // 2 + dx
            inside = (weight > 0) & (cy < coarse.shape[0]) & (cx < coarse.shape[1])
            near = np.full(y.shape, -1, dtype=np.int64)
            near[inside] = number[cy[inside], cx[inside]]
            (hit,) = np.nonzero(near >= 0)
            rows.append(hit)
            cols.append(near[hit])
            values.append(weight[hit])
    triplets = (np.concatenate(values), (np.concatenate(rows), np.concatenate(cols)))
    return sparse.coo_array(triplets, shape=(y.size, count)).tocsr()


def conjugate_gradients(
    matrix: sparse.csr_array,
    load: NDArray[np.float64],
    hierarchy: MultigridHierarchy,
    tolerance: float,
) -> NDArray[np.float64]:
    """Solve ``matrix @ x = load`` for all columns of `load`.

    The preconditioned residual estimates the error itself, so its largest entry is what must fall
    below `tolerance`: a small residual alone says little about a large hole.
    """
    x = np.zeros_like(load)
    residual = load.copy()
    z = hierarchy.cycle(residual)
    direction = z
    energy = np.einsum("ij,ij->j", residual, z)
    for _ in range(MAX_ITERATIONS):
        if float(np.abs(z).max()) < tolerance:
            break
        image_of = matrix @ direction
        curvature = np.einsum("ij,ij->j", direction, image_of)
        # a column that is solved exactly has no direction left
        step = np.divide(energy, curvature, out=np.zeros_like(energy), where=curvature > 0)
        x += step * direction
        residual -= step * image_of
        z = hierarchy.cycle(residual)
        previous = energy
        energy = np.einsum("ij,ij->j", residual, z)
        ratio = np.divide(energy, previous, out=np.zeros_like(energy), where=previous > 0)
        direction = z + ratio * direction
    return x
