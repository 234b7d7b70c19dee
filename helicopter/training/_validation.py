"""How much better a network is than the harmonic solution that it corrects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ._calibration import predict
from ._crops import solve_harmonic
from ._masks import random_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ._network import Network

__all__ = ["KINDS", "gains"]

#: Kinds of masks that are told apart.
KINDS = ("blocks", "patches", "pixels", "holes", "scribbles")
#: Side of the middles that are looked at.
SIDE = 256
#: More photographs than these are not looked at.
MOST_PHOTOGRAPHS = 16


def gains(
    network: Network,
    photographs: Sequence[NDArray[np.float32]],
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, float]:
    """Return how many dB less error than the harmonic solution, per kind of masks.

    Parameters
    ----------
    network : Network
        On the CPU.
    photographs : sequence of float32 ndarray of shape (H, W, 3)
        In [0, 1]; photographs that did not train it.
    seed : int
        Of the masks.
    progress : callable, optional
        Called with (done, total).
    """
    network.eval()
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    chosen = photographs[:MOST_PHOTOGRAPHS]
    for number, photograph in enumerate(chosen):
        side = min(SIDE, *photograph.shape[:2])
        y, x = ((length - side) // 2 for length in photograph.shape[:2])
        image = np.ascontiguousarray(photograph[y : y + side, x : x + side])
        for index, kind in enumerate(KINDS):
            mask = random_mask(np.random.default_rng([seed, number, index]), side, {kind: 1.0})
            mask = np.ascontiguousarray(mask)
            harmonic = np.where(mask[:, :, None], np.float32(0), image)
            solve_harmonic(harmonic, mask)
            prediction, _ = predict(network, image, mask)
            found[kind].append(
                _decibels(image, harmonic, mask) - _decibels(image, prediction, mask)
            )
        if progress is not None:
            progress(number + 1, len(chosen))
    return {kind: float(np.mean(values)) for kind, values in found.items()}


def _decibels(
    truth: NDArray[np.float32], prediction: NDArray[np.float32], mask: NDArray[np.bool_]
) -> float:
    """Mean squared error over hidden pixels, in dB; not below that of rounding to 8 bits."""
    error = float(np.square((prediction - truth)[mask], dtype=np.float64).mean())
    return 10 * math.log10(max(error, (1 / 255) ** 2 / 12))
