"""From errors on the [0, 1] scale to the measures that results state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from helicopter.backends.reference.measures import RIGHT, quality_of

if TYPE_CHECKING:
    from helicopter.backends.protocol import Map, Mask, Scores

__all__ = ["RIGHT", "confidence_of", "psnr_db", "quality_of", "skill_of"]

#: A mean squared error that is no more than the rounding of a constant image.
NO_VARIANCE = 1e-12
#: Rows worked on at a time; bounds the memory for large images.
STRIP = 512


def psnr_db(mse: float) -> float:
    """Peak signal-to-noise ratio in decibels; infinite for a perfect prediction."""
    return math.inf if mse == 0.0 else -10.0 * math.log10(mse)


def skill_of(scores: Scores) -> float:
    """1 - MSE / MSE of the mean colour; NaN where the mean colour is perfect: nothing to gain."""
    if scores.baseline_mse <= NO_VARIANCE:
        return math.nan
    return 1.0 - scores.mse / scores.baseline_mse


def confidence_of(sigma: Map, hidden: Mask) -> Map:
    """Probability that a pixel is off by at most `RIGHT`; 1 where visible.

    Errors of context prediction, in units of their standard deviation, follow a Laplace law closely
    (`training/fit_classical_uncertainty.py` prints how closely).
    """
    confidence = np.ones(sigma.shape, dtype=np.float32)
    for top in range(0, sigma.shape[0], STRIP):
        rows = slice(top, top + STRIP)
        where = hidden[rows]
        scale = np.maximum(sigma[rows][where], np.float32(1e-6))
        confidence[rows][where] = -np.expm1(np.float32(-math.sqrt(2.0) * RIGHT) / scale)
    return confidence
