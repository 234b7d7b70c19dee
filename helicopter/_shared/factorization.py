"""Sparse factorization that says it when memory runs out as everything else does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scipy.sparse.linalg import SuperLU

__all__ = ["factorize"]


def factorize(matrix: Any, **options: Any) -> SuperLU:
    """Factorize a square matrix in CSC form; see `scipy.sparse.linalg.splu` for the options.

    Raises
    ------
    MemoryError
        Also where SuperLU makes do with a RuntimeError that names its own allocator.
    RuntimeError
        If the matrix is singular.
    """
    from scipy.sparse.linalg import splu

    try:
        return splu(matrix, **options)
    except RuntimeError as problem:
        if "malloc" in str(problem).lower():
            raise MemoryError(str(problem)) from problem
        raise
