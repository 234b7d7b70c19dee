"""Cross-reconstruction: which patches each fold hides, and what their predictions are worth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from helicopter._shared.online_scale import LEAST_MAE, OnlineScale
from helicopter._shared.patches import PatchGrid
from helicopter._shared.ranking import random_ranks

from ._scores import quality_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Map, Mask
    from helicopter._shared.progress import ProgressCallback
    from helicopter.models import UncertaintyModel

__all__ = [
    "FoldPredictions",
    "PatchMeasures",
    "assign_folds",
    "measure_patches",
    "predict_folds",
    "surprise",
]

#: Of the shared random numbers; the first ones belong to what both backends choose.
STREAM_FOLDS = 16
#: Variances below this count as this.
LEAST_VARIANCE = 1e-12
#: Rows worked on at a time; bounds the memory for large images.
STRIP = 512


def assign_folds(grid: PatchGrid, folds: int, seed: int) -> NDArray[np.intp]:
    """Return the fold of every patch.

    Patches that lie together form groups of `folds`, and each fold hides one of every group, in
    seeded order: what a fold hides is spread over the whole image.
    """
    side = math.isqrt(folds - 1) + 1
    row, col = np.divmod(np.arange(grid.count), grid.cols)
    together = np.lexsort((col, row, col // side, row // side))
    group = np.arange(grid.count) // folds
    shuffled = np.lexsort((random_ranks(seed, STREAM_FOLDS, grid.count)[together], group))
    fold = np.empty(grid.count, dtype=np.intp)
    fold[together[shuffled]] = np.arange(grid.count) % folds
    return fold


class FoldPredictions(NamedTuple):
    """What the folds predict of each other."""

    #: float32 (H, W, C)
    prediction: Image
    #: float32 (H, W)
    sigma: Map
    #: of each patch, the mean distance of its pixels from what its fold showed
    distance: NDArray[np.float64]


def predict_folds(
    predict: Callable[[Image, Mask], Map],
    distance_of: Callable[[Mask], Map],
    truth: Image,
    grid: PatchGrid,
    fold: NDArray[np.intp],
    progress: ProgressCallback | None,
) -> FoldPredictions:
    """Predict every pixel from the other folds.

    Parameters
    ----------
    predict : callable
        Fills a context in place and returns the variance.
    distance_of : callable
        See `helicopter.backends.protocol.Backend.hidden_distance`.
    truth : float32 ndarray of shape (H, W, C)
    grid : PatchGrid
    fold : int ndarray of shape (grid.count,)
    progress : callable, optional
    """
    prediction, sigma = np.empty_like(truth), np.empty(truth.shape[:2], dtype=np.float32)
    context, distance = np.empty_like(truth), np.zeros(grid.count)
    count = int(fold.max()) + 1
    for number in range(count):
        if progress is not None:
            progress(number, count)
        hidden = grid.pixels(fold == number)
        np.copyto(context, truth)
        context[hidden] = 0
        variance = predict(context, hidden)
        np.copyto(prediction, context, where=hidden[:, :, None])
        np.sqrt(variance, out=sigma, where=hidden)
        distance += patch_means(grid, distance_of(hidden).__getitem__)
    if progress is not None:
        progress(count, count)
    return FoldPredictions(prediction, sigma, distance)


def patch_means(
    grid: PatchGrid, values: Callable[[slice], NDArray[np.floating]]
) -> NDArray[np.float64]:
    """Mean over every patch of an (H, W) map, given band of rows by band of rows."""
    means = []
    band = -(-STRIP // grid.size) * grid.size
    for top in range(0, grid.height, band):
        rows = slice(top, min(top + band, grid.height))
        part = PatchGrid(rows.stop - top, grid.width, grid.size)
        pixels = part.sums(np.ones((part.height, part.width), dtype=np.int64))
        means.append(part.sums(values(rows).astype(np.float64)) / pixels)
    return np.concatenate(means)


def surprise(truth: Image, prediction: Image, sigma: Map) -> Map:
    """Return the standardised residual: root mean square of the channels, sign of their mean."""
    out = np.empty_like(sigma)
    for top in range(0, truth.shape[0], STRIP):
        rows = slice(top, top + STRIP)
        residual = truth[rows] - prediction[rows]
        size = np.sqrt(np.square(residual).mean(axis=2))
        scale = np.maximum(sigma[rows], np.float32(math.sqrt(LEAST_VARIANCE)))
        out[rows] = np.copysign(size, residual.mean(axis=2)) / scale
    return out


class PatchMeasures(NamedTuple):
    """Of each patch, shape (rows, cols)."""

    quality: NDArray[np.float32]
    confidence: NDArray[np.float32]
    surprise: NDArray[np.float32]


def measure_patches(
    truth: Image, folds: FoldPredictions, grid: PatchGrid, model: UncertaintyModel
) -> PatchMeasures:
    """Score every patch against the truth, and against what was expected of it."""
    shape = (grid.rows, grid.cols)

    def residual(rows: slice) -> NDArray[np.float64]:
        return (folds.prediction[rows] - truth[rows]).astype(np.float64)

    squared = patch_means(grid, lambda rows: np.square(residual(rows)).mean(axis=2))
    absolute = patch_means(grid, lambda rows: np.abs(residual(rows)).mean(axis=2))
    variance = patch_means(grid, lambda rows: np.square(folds.sigma[rows], dtype=np.float64))
    variance = np.maximum(variance, LEAST_VARIANCE)
    scale = OnlineScale(model)  # each patch is judged by itself: nothing is learnt from the others
    stated = list(zip(variance.tolist(), folds.distance.tolist(), strict=True))
    confidence = [scale.confidence(*of_patch) for of_patch in stated]
    expected = np.array([scale.expected(*of_patch) for of_patch in stated])
    spread = math.hypot(model.log_mae_spread, model.log_mae_prior)
    surprises = (np.log(np.maximum(absolute, LEAST_MAE)) - expected) / spread
    quality = [quality_of(value) for value in squared.tolist()]
    return PatchMeasures(
        *(np.asarray(v, dtype=np.float32).reshape(shape) for v in (quality, confidence, surprises))
    )
