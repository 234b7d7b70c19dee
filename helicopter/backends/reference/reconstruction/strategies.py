"""What the autonomous engine predicts next: an integer priority for every patch, larger first.

Integers, because both backends must choose the same patches in the same order: no rounding can tip
a choice. Equal priorities are ordered by the seeded ranks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .uncertainty import interpolate_cells

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from helicopter._shared.patches import PatchGrid
    from helicopter.backends.protocol import AutonomousOptions

__all__ = ["concrete_strategy", "priorities"]

#: Variances are compared in steps of 1 / VARIANCE_STEPS.
VARIANCE_STEPS = float(2**36)


def concrete_strategy(options: AutonomousOptions) -> str:
    """Say what ``"adaptive"`` stands for: what `benchmarks/strategies.py` measured as best.

    When the truth is revealed, looking where the prediction is least sure buys most. When it is
    not, growing from the known patches serves predictors that see no further than a window. For
    those that see everything, the order hardly matters to the prediction; then one that covers the
    whole image evenly from the start gives the fairest early verdict.
    """
    if options.strategy != "adaptive":
        return options.strategy
    if options.open_book:
        return "uncertainty_guided"
    return "progressive_refinement" if options.context_size is None else "edge_guided"


def priorities(
    strategy: str,
    grid: PatchGrid,
    waiting: NDArray[np.bool_],
    variance: Callable[[], NDArray[np.float32]],
    variogram: Callable[[], NDArray[np.float64]],
) -> NDArray[np.int64]:
    """Return the priority of every patch under a concrete strategy.

    Parameters
    ----------
    waiting : bool ndarray of shape (grid.count,)
        Patches that are not predicted yet.
    variance : callable
        Returns the predicted error variance (H, W), before rescaling; called where it is needed.
    variogram : callable
        Returns the `local_variogram` of what has truly been seen; called where it is needed.
    """
    if strategy == "random":
        return np.zeros(grid.count, dtype=np.int64)
    if strategy == "edge_guided":
        known = np.pad(~waiting.reshape(grid.rows, grid.cols), 1).astype(np.int64)
        around = sum(
            known[1 + dy : known.shape[0] - 1 + dy, 1 + dx : known.shape[1] - 1 + dx]
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
            if dy or dx
        )
        return np.asarray(around).ravel()
    if strategy == "content_aware":
        rows, cols = grid.centres()
        detail = interpolate_cells(variogram()[0], rows, cols)
        return np.floor(detail * VARIANCE_STEPS).astype(np.int64)
    if strategy == "uncertainty_guided":
        predicted = variance()
        steps = np.floor(predicted.astype(np.float64) * VARIANCE_STEPS).astype(np.int64)
        unsure = grid.sums((predicted > 0).astype(np.int64))
        return np.asarray(grid.sums(steps) // np.maximum(unsure, 1))
    if strategy == "progressive_refinement":
        level = np.minimum(_factors_of_two(grid.rows)[:, None], _factors_of_two(grid.cols)[None, :])
        return level.ravel()
    raise AssertionError(strategy)


def _factors_of_two(count: int) -> NDArray[np.int64]:
    """How often each of 0 .. count-1 can be halved: coarse grid lines have more; 0 has the most."""
    index = np.arange(count, dtype=np.int64)
    index[0] = 1 << 40
    return np.array([(i & -i).bit_length() - 1 for i in index.tolist()], dtype=np.int64)
