"""How unlike the rest of the image each place is.

Around each pixel, windows of several widths tell the mean of the residual and of the image, the
energy of the residual and of its differences in four directions, and the variance that was
predicted. The distance from what is usual in this image is Mahalanobis's with a robust mean and
covariance, as in the detector of Reed and Yu (1990, "Adaptive multiple-band CFAR detection of an
optical pattern with unknown spectral distribution").

This is done twice, with the prediction of the algorithm and with none at all, and the two are
averaged: of textures a prediction explains little, and what it leaves out is news as well.

Noise is no anomaly: the variance that is noise around each pixel is one more measurement, and the
distance is that of the others *given* it. So noise explains what varies with it in this image, and
no variance is counted twice, whether or not the prediction has counted it in.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from helicopter._shared.blas import blas_on_one_thread, squared_distances
from helicopter.backends.protocol import WINDOW_REACH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from helicopter._shared.arrays import Map, Mask
    from helicopter.backends.protocol import AnomalyEvidence, Backend

#: Rows, and what is measured in them: float32 (rows, W, measurements).
_Strip: TypeAlias = "tuple[slice, NDArray[np.float32]]"

__all__ = ["WINDOWS", "add_distances"]

#: Standard deviations of the windows, in pixels.
WINDOWS = (1.5, 3.0, 6.0)
#: Rows worked on at a time, fewer of wide images; bounds the memory for large ones.
STRIP, STRIP_PIXELS = 512, 2**21
#: Images of at most so many pixels are kept measured.
SMALL = 2**21
#: About so many pixels tell what is usual.
SAMPLE = 2**14
#: The share of them that counts in full, and in how many rounds that is found.
USUAL_SHARE, ROUNDS = 0.9, 3
#: Standard deviations of a measurement below these count as these: means on the [0, 1] scale, and
#: logarithms of energies.
LEAST_SPREAD = (1e-3, 0.02)
#: Squared distances are told apart from about here on.
LEAST_DISTANCE = 0.1
#: Share of the pixels that reach 1 in a map of scores.
USUAL = 0.95


class _Law(NamedTuple):
    """What is usual: the centre, and the form whose value is the squared distance."""

    centre: NDArray[np.float64]
    form: NDArray[np.float64]
    median: float
    spread: float


def add_distances(backend: Backend, evidence: AnomalyEvidence, scores: Map) -> int:
    """Add a map of standardised distances to `scores` for each window, and return their number.

    Only included pixels have any influence; what is added elsewhere means nothing.
    """
    with blas_on_one_thread():
        for width in WINDOWS:
            strips: Iterable[_Strip] = _Strips(backend, evidence, width)
            if evidence.included.size <= SMALL:
                strips = list(strips)  # measured once, not twice
            law = _usual(_sampled(strips, evidence.included), _floors(evidence.image.shape[2]))
            for rows, measured in strips:
                squared = backend.squared_distances(measured, law.centre, law.form)
                distance = np.log(squared + LEAST_DISTANCE)
                scores[rows] += ((distance - law.median) / law.spread).astype(np.float32)
    return len(WINDOWS)


def _floors(channels: int) -> NDArray[np.float64]:
    mean, energy = LEAST_SPREAD
    return np.array([mean] * (2 * channels) + [energy] * 7)


class _Strips:
    """Measures strip by strip, anew each time it is gone through."""

    def __init__(self, backend: Backend, evidence: AnomalyEvidence, width: float) -> None:
        self.backend, self.evidence, self.width = backend, evidence, width

    def __iter__(self) -> Iterator[_Strip]:
        height, width = self.evidence.included.shape
        strip = max(1, min(STRIP, STRIP_PIXELS // width))
        halo = math.ceil(WINDOW_REACH * self.width) + 2
        for top in range(0, height, strip):
            bottom = min(top + strip, height)
            first, last = max(top - halo, 0), min(bottom + halo, height)
            part = self.evidence.rows(slice(first, last))
            measured = self.backend.anomaly_measurements(part, self.width)
            yield slice(top, bottom), measured[top - first : bottom - first]


def _sampled(strips: Iterable[_Strip], included: Mask) -> NDArray[np.float64]:
    """Measurements of included pixels, evenly spread, of shape (N, measurements)."""
    step = max(1, int(np.count_nonzero(included)) // SAMPLE)
    while math.gcd(step, included.shape[1]) > 1:  # or it would meet the same columns in every row
        step += 1
    parts, seen = [], 0
    for rows, measured in strips:
        there = included[rows]
        # nothing is copied where everything counts
        flat = measured.reshape(-1, measured.shape[-1])
        here = flat if there.all() else flat[there.ravel()]
        parts.append(here[-seen % step :: step].astype(np.float64))
        seen += len(here)
    return np.concatenate(parts)


def _usual(sample: NDArray[np.float64], floors: NDArray[np.float64]) -> _Law:
    """Find centre and covariance with less weight for what is far, which is found on the way.

    Weights change smoothly: were the farthest left out, the last digit of a measurement, which
    backends differ in, could change the whole map.
    """
    weight = np.ones(len(sample))
    centre = np.median(sample, axis=0)
    for number in range(ROUNDS):
        if number:
            centre = weight @ sample / weight.sum()
        away = sample - centre
        covariance = (away * weight[:, None]).T @ away / weight.sum()
        covariance[np.diag_indices_from(covariance)] += np.square(floors)
        form = np.linalg.inv(covariance)
        form[-1, -1] -= 1.0 / covariance[-1, -1]  # given the noise
        distance = squared_distances(sample, centre, form)
        far = max(float(np.quantile(distance, USUAL_SHARE)), LEAST_DISTANCE)
        weight = far / np.maximum(distance, far)
    score = np.log(distance + LEAST_DISTANCE)
    median, high = np.quantile(score, (0.5, USUAL))
    return _Law(centre, form, float(median), max(float(high - median), LEAST_DISTANCE))
