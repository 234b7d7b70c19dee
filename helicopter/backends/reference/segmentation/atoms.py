"""The first merges, within cells of 8 x 8 pixels.

Every pixel joins the neighbour most like it, then every group of pixels does (a round of Borůvka's
algorithm each, as in Wei et al., "Superpixel hierarchy", IEEE Transactions on Image Processing 27,
2018). What no cell can tell is left to `ward`; borders of cells disappear there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .ward import cost_of_merging

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .features import Features

__all__ = ["Atoms", "make_atoms"]

#: Side of a cell.
CELL = 8


@dataclass(frozen=True)
class Atoms:
    """Groups of pixels, numbered cell by cell and within a cell by their first pixel."""

    #: int64 (H, W)
    labels: NDArray[np.int64]
    #: float64 (K,): number of pixels
    count: NDArray[np.float64]
    #: float64 (K, 5): mean features, row and column
    mean: NDArray[np.float64]
    #: int64 (E, 2): pairs that touch, the lower number first
    edges: NDArray[np.int64]


def make_atoms(features: Features, rounds: int, spatial: float) -> Atoms:
    """Merge pixels in so many rounds; without any, every pixel is an atom."""
    height, width = features.shape[:2]
    y, x = np.mgrid[:height, :width]
    cell = (y // CELL) * -(-width // CELL) + x // CELL
    place_in_cell = (cell * CELL**2 + y % CELL * CELL + x % CELL).ravel()
    labels = np.arange(height * width)
    if rounds > 0:
        labels = _components(height * width, labels, _most_similar(features, cell))
    labels = _numbered(labels, place_in_cell)
    for _ in range(1, rounds):
        atoms = _described(labels.reshape(height, width), features)
        own, other = _nearest(atoms, cell, spatial)
        labels = _numbered(_components(len(atoms.count), own, other)[labels], place_in_cell)
    return _described(labels.reshape(height, width), features)


def _most_similar(features: Features, cell: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for every pixel the number of the neighbour in its cell that is most like it.

    Of equals the right one comes first, then the one below, to the left, above; itself, if alone.
    """
    height, width = cell.shape
    nowhere = np.iinfo(np.int64).max
    best = np.full(cell.shape, nowhere)
    number = np.arange(cell.size).reshape(cell.shape)
    to = number.copy()
    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        here = (
            slice(max(0, -dy), height - max(0, dy)),
            slice(max(0, -dx), width - max(0, dx)),
        )
        there = (
            slice(max(0, dy), height - max(0, -dy)),
            slice(max(0, dx), width - max(0, -dx)),
        )
        difference = (features[there] - features[here]).astype(np.int64)
        distance = np.where(cell[there] == cell[here], np.square(difference).sum(axis=2), nowhere)
        nearer = distance < best[here]
        best[here][nearer] = distance[nearer]
        to[here][nearer] = number[there][nearer]
    return to.ravel()


def _components(count: int, own: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    links = coo_array((np.ones(len(own), dtype=bool), (own, other)), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _numbered(labels: NDArray[np.int64], place_in_cell: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number labels by their first pixel, cell by cell."""
    first = np.full(labels.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, labels, place_in_cell)
    rank = np.empty(first.size, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    return rank[labels]


def _described(labels: NDArray[np.int64], features: Features) -> Atoms:
    height, width = labels.shape
    y, x = np.mgrid[:height, :width]
    flat = labels.ravel()
    count = np.bincount(flat).astype(np.float64)
    # sums of integers far below 2^53 are exact; places count from the corner of the cell
    values = [*np.moveaxis(features, 2, 0), y % CELL, x % CELL]
    mean = np.stack([np.bincount(flat, v.ravel()) / count for v in values], axis=1)
    corner = np.zeros((count.size, 2))
    corner[flat, 0] = (y - y % CELL).ravel()
    corner[flat, 1] = (x - x % CELL).ravel()
    mean[:, 3:] = corner + mean[:, 3:]
    return Atoms(labels, count, mean, _edges(labels))


def _edges(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    pairs = np.concatenate(
        [
            np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()], axis=1),
            np.stack([labels[:-1].ravel(), labels[1:].ravel()], axis=1),
        ]
    )
    pairs.sort(axis=1)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)


def _nearest(
    atoms: Atoms, cell: NDArray[np.int64], spatial: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return atoms, and for each the neighbour in its cell that it is cheapest to merge with.

    Of equals it is the one with the lowest number.
    """
    cell_of = np.empty(len(atoms.count), dtype=np.int64)
    cell_of[atoms.labels.ravel()] = cell.ravel()
    low, high = atoms.edges[cell_of[atoms.edges[:, 0]] == cell_of[atoms.edges[:, 1]]].T
    cost = cost_of_merging(
        (atoms.count[low], atoms.mean[low]), (atoms.count[high], atoms.mean[high]), spatial
    )
    own, other = np.concatenate([low, high]), np.concatenate([high, low])
    order = np.lexsort((other, np.concatenate([cost, cost]), own))
    own, first = np.unique(own[order], return_index=True)
    return own, other[order][first]
