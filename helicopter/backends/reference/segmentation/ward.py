"""Ward's criterion on the region adjacency graph.

Of all pairs of regions that touch, the cheapest becomes one, until as many are left as were asked
for (Ward, "Hierarchical grouping to optimize an objective function", Journal of the American
Statistical Association 58, 1963).
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .atoms import Atoms

__all__ = ["cost_of_merging", "merge"]


def cost_of_merging(
    one: tuple[NDArray[np.float64], NDArray[np.float64]],
    other: tuple[NDArray[np.float64], NDArray[np.float64]],
    spatial: float,
) -> NDArray[np.float32]:
    """Return by how much the sum of squared deviations from the mean grows if two become one.

    Each is given by its numbers of pixels and by its means (..., 5); deviations of features count
    fully, those of the row and the column `spatial` times.
    """
    (n, of_one), (m, of_other) = one, other
    a, b, c, y, x = np.moveaxis(of_one - of_other, -1, 0)
    squared = (a * a + b * b + c * c) + spatial * (y * y + x * x)
    return np.asarray(n * m / (n + m) * squared, dtype=np.float32)


def merge(atoms: Atoms, count: int, spatial: float) -> NDArray[np.int64]:
    """Return for each atom the number of the region it ends up in: the lowest of its atoms.

    Of pairs that cost the same, the one with the lowest number comes first, then the one whose
    other number is lowest.
    """
    size, mean = atoms.count.copy(), atoms.mean.copy()
    neighbours: list[set[int]] = [set() for _ in size]
    low, high = atoms.edges.T
    costs = cost_of_merging((size[low], mean[low]), (size[high], mean[high]), spatial)
    queue = list(zip(costs.tolist(), low.tolist(), high.tolist(), strict=True))
    for a, b in atoms.edges.tolist():
        neighbours[a].add(b)
        neighbours[b].add(a)
    heapq.heapify(queue)
    current = {(a, b): cost for cost, a, b in queue}
    parent = np.arange(size.size)
    for _ in range(size.size - count):
        while True:
            cost, kept, gone = heapq.heappop(queue)
            if current.get((kept, gone)) == cost:
                break
        total = size[kept] + size[gone]
        mean[kept] = (size[kept] * mean[kept] + size[gone] * mean[gone]) / total
        size[kept] = total
        parent[gone] = kept
        for number in (kept, gone):
            for other in neighbours[number]:
                current.pop((min(number, other), max(number, other)), None)
                neighbours[other].discard(number)
        joint = (neighbours[kept] | neighbours[gone]) - {kept, gone}
        neighbours[kept], neighbours[gone] = joint, set()
        around = np.fromiter(joint, dtype=np.int64, count=len(joint))
        costs = cost_of_merging((size[kept], mean[kept]), (size[around], mean[around]), spatial)
        for other, cost in zip(around.tolist(), costs.tolist(), strict=True):
            neighbours[other].add(kept)
            pair = min(kept, other), max(kept, other)
            current[pair] = cost
            heapq.heappush(queue, (cost, *pair))
    # a parent has a lower number, so it has its root already
    for number, above in enumerate(parent.tolist()):
        parent[number] = parent[above]
    return parent
