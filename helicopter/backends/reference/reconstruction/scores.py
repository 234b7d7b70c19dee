"""Measures of a prediction over hidden pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter

from helicopter.backends.protocol import Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Mask

__all__ = ["score"]

#: Window and constants of Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error
#: visibility to structural similarity", IEEE Trans. Image Process. 13 (2004), as in scikit-image.
WINDOW = 7
C1, C2 = 0.01**2, 0.03**2
#: Rows worked on at a time; bounds the memory for large images.
STRIP = 512


def score(truth: Image, prediction: Image, hidden: Mask, scored: Mask) -> Scores:
    """Compare `prediction` with `truth` over `scored`, a subset of `hidden`.

    Pixels outside `scored` whose truth is unknown must be equal in both images. Without a scored
    pixel everything is NaN.
    """
    if not scored.any():
        return Scores(*[float("nan")] * 4)
    height, _, channels = truth.shape
    shown = ~hidden
    mean = truth[shown].mean(axis=0, dtype=np.float64)
    squared = absolute = baseline = similarity = 0.0
    for top in range(0, height, STRIP):
        bottom = min(top + STRIP, height)
        here = scored[top:bottom]
        if not here.any():
            continue
        true = truth[top:bottom][here].astype(np.float64)
        error = prediction[top:bottom][here] - true
        squared += float(np.square(error).sum())
        absolute += float(np.abs(error).sum())
        baseline += float(np.square(mean - true).sum())
        first, last = max(top - WINDOW // 2, 0), min(bottom + WINDOW // 2, height)
        similarities = _similarity(truth[first:last], prediction[first:last])
        similarity += float(similarities[top - first : bottom - first][here].sum())
    total = int(np.count_nonzero(scored)) * channels
    return Scores(squared / total, absolute / total, similarity / total, baseline / total)


def _similarity(x: Image, y: Image) -> NDArray[np.float64]:
    """Structural similarity at every pixel and channel, borders reflected."""

    def local_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(uniform_filter(values, size=(WINDOW, WINDOW, 1), mode="reflect"))

    x64, y64 = x.astype(np.float64), y.astype(np.float64)
    mean_x, mean_y = local_mean(x64), local_mean(y64)
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    variance_x = unbiased * (local_mean(x64 * x64) - mean_x * mean_x)
    variance_y = unbiased * (local_mean(y64 * y64) - mean_y * mean_y)
    covariance = unbiased * (local_mean(x64 * y64) - mean_x * mean_y)
    above = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    below = (mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2)
    return np.asarray(above / below)
