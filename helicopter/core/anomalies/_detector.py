"""Anomalies: what in an image does not follow from the rest of it, and is no noise either."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from helicopter._messages import shown
from helicopter._shared.checks import check_fraction, check_integer, is_integer
from helicopter._shared.patches import PatchGrid
from helicopter._shared.progress import ProgressCallback, as_callback
from helicopter.backends.protocol import AnomalyEvidence
from helicopter.core.prediction._cross import STRIP, assign_folds
from helicopter.core.regional_engine import RegionalReconstructionEngine
from helicopter.core.registry import DEFAULT
from helicopter.core.results._noise import NoiseAnalysis
from helicopter.core.results._parts import AnomalyAnalysis
from helicopter.core.segments._partition import segment_values
from helicopter.core.validation import check_segments, prepare_image, require_visible
from helicopter.core.zengeza_detector import quantum_of
from helicopter.errors import InvalidOptionError

from ._map import add_distances
from ._regions import (
    Declared,
    adjusted,
    find_peaks,
    local_false_rate,
    outline,
    peak_p_values,
    ranked,
    snapped,
)

if TYPE_CHECKING:
    import os

    from helicopter._shared.arrays import Image, Labels, Map, Mask
    from helicopter.core.validation import PreparedImage

__all__ = ["AnomalyDetector"]

#: Side of the patches that are hidden, in pixels, and in how many rounds. Smaller ones are
#: predicted better, anomalies included, since part of each stays visible.
PATCH = 32
FOLDS = 4
#: Pixels around what was found that are hidden with it, to tell what was to be expected there.
RIM = 3


class AnomalyDetector:
    """Finds what in an image does not follow from the rest of it.

    Parameters
    ----------
    algorithm : str, default "network"
        What predicts; see `RegionalReconstructionEngine`.
    device : str, default "auto"
    use_rust_acceleration : bool, optional
    seed : int, default 0
        Of the folds.
    weights : path-like, optional

    Raises
    ------
    InvalidOptionError, DeviceError, RustAccelerationError, ModelError
    """

    def __init__(
        self,
        algorithm: str = DEFAULT,
        device: str = "auto",
        use_rust_acceleration: bool | None = None,
        seed: int = 0,
        weights: str | os.PathLike[str] | None = None,
    ) -> None:
        self._engine = RegionalReconstructionEngine(
            algorithm, device, use_rust_acceleration, seed, weights
        )
        self.algorithm, self.seed = algorithm, self._engine.seed
        self.backend, self.device = self._engine.backend, self._engine.device

    def find(
        self,
        image: object,
        *,
        level: float = 0.1,
        segments: object = None,
        mask: object = None,
        data_range: tuple[float, float] | None = None,
        noise: NoiseAnalysis | None = None,
        progress: bool | ProgressCallback | None = None,
    ) -> AnomalyAnalysis:
        """Find the regions that are unlike the rest of the image.

        Parameters
        ----------
        image, mask, data_range
            As in `ZengezaNoiseDetector.analyze`: hidden and fully transparent pixels are left out.
        level : float, default 0.1
            The share of the declared regions that may be false, on average; between 0 and 1.
        segments : int or integer array_like of shape (H, W), optional
            Regions are then made of whole segments: so many of `helicopter.segment`, or those of
            the label given for each pixel. By default they end where the anomaly map falls to half.
        noise : NoiseAnalysis, optional
            What was found out about the noise of this image with this mask, so that it need not be
            found out again.
        progress : None, True or callable

        Returns
        -------
        AnomalyAnalysis

        Raises
        ------
        InvalidImageError, InvalidMaskError, InvalidOptionError
        """
        started = time.perf_counter()
        share = check_fraction(level, "level", ends=False)
        with as_callback(progress, "Finding anomalies") as callback:
            prepared, hidden = prepare_image(image, hidden=mask, data_range=data_range)
            require_visible(hidden, since="nothing else is looked at")
            count, labels = _segments(segments, hidden)
            sigmas = self._noise(prepared, hidden, noise)
            scores = self._map(prepared.pixels, hidden, sigmas, callback)
            del sigmas
        peaks = find_peaks(scores)
        p = peak_p_values(peaks.height)
        q = adjusted(p)
        is_declared = q <= share
        declared = Declared(
            peaks.only(is_declared),
            p[is_declared],
            q[is_declared],
            local_false_rate(p)[is_declared],
        )
        found = outline(scores, declared.peaks)
        if found.any() and count:
            labels = segment_values(self._engine._backend, prepared.pixels, hidden, count)
        if found.any() and labels is not None:
            found = snapped(found, declared.peaks, labels, ~hidden)
        deviation = self._deviation(prepared.pixels, hidden, found)
        regions, numbers = ranked(found, declared, deviation, prepared.units)
        return AnomalyAnalysis(
            anomaly_map=scores,
            detected=found,
            labels=numbers,
            regions=regions,
            level=share,
            candidates=len(peaks.height),
            data_range=(prepared.low, prepared.high),
            dtype=prepared.original.dtype.name,
            algorithm=self.algorithm,
            backend=self.backend,
            device=self.device,
            seconds=time.perf_counter() - started,
            _image=prepared.original,
        )

    def _noise(self, prepared: PreparedImage, hidden: Mask, known: NoiseAnalysis | None) -> Map:
        """Return the standard deviation of the noise around each pixel, on the [0, 1] scale."""
        if known is None:
            included, quantum = ~hidden, quantum_of(prepared)
            run, _ = self._engine._backend.analyze_noise(prepared.pixels, included, quantum, None)
            return run.sigma_map
        given: object = known  # a caller may pass anything
        if not isinstance(given, NoiseAnalysis):
            raise InvalidOptionError(
                f"noise: got {shown(given)}; expected None or what `ZengezaNoiseDetector.analyze` "
                "says of this image."
            )
        if known.sigma_map.shape != hidden.shape:
            raise InvalidOptionError(
                f"noise: got that of an image of {known.sigma_map.shape}; expected that of this "
                f"image, {hidden.shape}."
            )
        return np.where(hidden, np.float32(0), known.sigma_map / np.float32(prepared.units))

    def _map(
        self, truth: Image, hidden: Mask, noise: Map, progress: ProgressCallback | None
    ) -> Map:
        """Return the scores, NaN where hidden."""
        # before there is anything else, since predicting takes the most memory
        prediction, sigma = self._predict_all(truth, hidden, progress)
        included, backend = ~hidden, self._engine._backend
        scores = np.zeros_like(noise)
        # a mean colour predicts nothing, so that what is left is the image itself
        mean = truth.sum(axis=(0, 1), dtype=np.float64) / np.count_nonzero(included)
        nothing = np.broadcast_to(mean.astype(np.float32), truth.shape)
        surely = np.broadcast_to(np.float32(0), hidden.shape)
        alone = AnomalyEvidence(truth, nothing, surely, noise, included)
        count = add_distances(backend, alone, scores)
        predicted = AnomalyEvidence(truth, prediction, sigma, noise, included)
        count += add_distances(backend, predicted, scores)
        scores /= np.float32(count)
        np.copyto(scores, np.float32(np.nan), where=hidden)
        return scores

    def _deviation(self, truth: Image, hidden: Mask, found: Mask) -> Map:
        """Return image less prediction from what was not found, mean over the channels."""
        from scipy.ndimage import binary_dilation  # slow to import

        out = np.full(found.shape, np.nan, dtype=np.float32)
        if not found.any():
            return out
        # the rim of an anomaly would give it away
        unseen = binary_dilation(found, np.ones((3, 3), bool), RIM) | hidden
        if unseen.all():
            return out
        context = np.where(unseen[:, :, None], np.float32(0), truth)
        self._engine._predict(context, unseen)
        for top in range(0, len(truth), STRIP):
            rows = slice(top, top + STRIP)
            out[rows] = (truth[rows] - context[rows]).mean(axis=2)
        return out

    def _predict_all(
        self, truth: Image, hidden: Mask, progress: ProgressCallback | None
    ) -> tuple[Image, Map]:
        """Predict every patch once from the others; return predictions and their uncertainty.

        `truth` is written to meanwhile, so that there is no third image beside it.
        """
        height, width = hidden.shape
        grid = PatchGrid(height, width, PATCH)
        while grid.count < FOLDS and grid.size > 1:
            grid = PatchGrid(height, width, grid.size // 2)
        fold = assign_folds(grid, min(FOLDS, grid.count), self.seed)
        prediction = truth.copy()  # stays where nothing else is visible: nothing can be said there
        sigma = np.zeros(hidden.shape, dtype=np.float32)
        rounds = int(fold.max()) + 1
        for number in range(rounds):
            if progress is not None:
                progress(number, rounds)
            now = grid.pixels(fold == number)
            unseen = now | hidden
            if unseen.all():
                continue
            np.copyto(truth, np.float32(0), where=unseen[:, :, None])
            variance = self._engine._predict(truth, unseen)
            np.sqrt(variance, out=sigma, where=now)
            del variance, unseen
            _exchange(truth, prediction, now)
            np.copyto(truth, np.float32(0), where=hidden[:, :, None])
        if progress is not None:
            progress(rounds, rounds)
        return prediction, sigma


def _exchange(one: Image, other: Image, where: Mask) -> None:
    """Exchange the pixels of two images there."""
    for top in range(0, len(where), STRIP):
        rows = slice(top, top + STRIP)
        kept, there = one[rows].copy(), where[rows, :, None]
        np.copyto(one[rows], other[rows], where=there)
        np.copyto(other[rows], kept, where=there)


def _segments(segments: object, hidden: Mask) -> tuple[int, Labels | None]:
    """Return the number of segments to make, or the labels that were given; 0 and None: neither."""
    if segments is None:
        return 0, None
    if is_integer(segments):
        return check_integer(segments, "segments", 1, hidden.size), None
    if isinstance(segments, (tuple, list)) and len(segments) == 2:  # a grid, elsewhere
        segments = np.asarray(segments)
    return 0, check_segments(segments, hidden.shape)[1]
