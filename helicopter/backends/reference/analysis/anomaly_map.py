"""What is measured around each pixel in search of anomalies; see `core/anomalies/_map.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter.backends.protocol import WINDOW_REACH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Map
    from helicopter.backends.protocol import AnomalyEvidence

__all__ = ["measure"]

#: Half a grey level of 255, squared: less variance than that says nothing.
LEAST_ENERGY = 4e-6


def measure(part: AnomalyEvidence, width: float) -> NDArray[np.float32]:
    """Measure; see `helicopter.backends.protocol.Backend.anomaly_measurements`."""
    from scipy.ndimage import gaussian_filter  # slow to import

    seen = part.included.astype(np.float32)
    residual = np.where(part.included[:, :, None], part.image - part.prediction, np.float32(0))

    def pooled(values: Map, weight: Map) -> Map:
        return np.asarray(
            gaussian_filter(values * weight, width, truncate=WINDOW_REACH, mode="reflect") / total,
            dtype=np.float32,
        )

    total = _weight(seen, width)
    channels = range(part.image.shape[2])
    measured = [pooled(residual[:, :, c], seen) for c in channels]
    measured += [pooled(part.image[:, :, c], seen) for c in channels]
    energies = [pooled(np.square(residual).mean(axis=2), seen)]
    energies += [
        pooled(np.square(values), seen)
        for values in (part.sigma, np.where(part.included, part.noise, np.float32(0)))
    ]
    noise = energies.pop()
    for step in ((1, 0), (0, 1), (1, 1), (1, -1)):
        difference, both = _difference(residual, seen, step)
        total = _weight(both, width)
        energies.append(pooled(difference, both))
    measured += [np.log(values + np.float32(LEAST_ENERGY)) for values in (*energies, noise)]
    return np.stack(measured, axis=-1)


def _weight(seen: Map, width: float) -> Map:
    """How much of each window is seen; the rest is not counted."""
    from scipy.ndimage import gaussian_filter  # slow to import

    total = gaussian_filter(seen, width, truncate=WINDOW_REACH, mode="reflect")
    return np.asarray(np.maximum(total, np.float32(1e-6)))


def _difference(residual: Image, seen: Map, step: tuple[int, int]) -> tuple[Map, Map]:
    """Return the energy of differences to the neighbour at `step`, and where both are seen."""
    down, right = step
    height, width = seen.shape
    near_rows, far_rows = slice(0, height - down), slice(down, height)
    left = slice(max(0, -right), width - max(0, right))
    far = slice(max(0, right), width - max(0, -right))
    energy, both = np.zeros_like(seen), np.zeros_like(seen)
    difference = residual[far_rows, far] - residual[near_rows, left]
    energy[near_rows, left] = np.square(difference).mean(axis=2)
    both[near_rows, left] = seen[near_rows, left] * seen[far_rows, far]
    return energy, both
