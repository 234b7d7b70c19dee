"""From errors on the [0, 1] scale to the measures that results state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from helicopter._shared.quality import RIGHT, quality_of

if TYPE_CHECKING:
    from helicopter._shared.arrays import Image, Map
    from helicopter.backends.protocol import Scores

__all__ = ["RIGHT", "error_map", "psnr_db", "quality_of", "skill_of"]

#: A mean squared error that is no more than the rounding of a constant image.
NO_VARIANCE = 1e-12


def psnr_db(mse: float) -> float:
    """Peak signal-to-noise ratio in decibels; infinite for a perfect prediction."""
    return math.inf if mse == 0.0 else -10.0 * math.log10(mse)


def skill_of(scores: Scores) -> float:
    """1 - MSE / MSE of the mean colour; NaN where the mean colour is perfect: nothing to gain."""
    if scores.baseline_mse <= NO_VARIANCE:
        return math.nan
    return 1.0 - scores.mse / scores.baseline_mse


def error_map(truth: Image, prediction: Image, units: float) -> Map:
    """Absolute error, mean over the channels, in the image's own units."""
    height, width, channels = prediction.shape
    error = np.zeros((height, width), dtype=np.float32)
    for channel in range(channels):  # far faster than a mean over a short axis
        error += np.abs(prediction[:, :, channel] - truth[:, :, channel])
    error *= np.float32(units / channels)
    return error
