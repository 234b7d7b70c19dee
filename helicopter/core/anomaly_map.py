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
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from scipy.ndimage import gaussian_filter

from helicopter.backends.reference.blas import blas_on_one_thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from helicopter.backends.protocol import Image, Map, Mask

#: Rows, and what is measured in them: float32 (rows, W, measurements).
_Strip: TypeAlias = "tuple[slice, NDArray[np.float32]]"

__all__ = ["WINDOWS", "Evidence", "add_distances"]

#: Standard deviations of the windows, in pixels.
WINDOWS = (1.5, 3.0, 6.0)
#: Windows end after so many standard deviations.
REACH = 4.0
#: Rows worked on at a time; bounds the memory for large images.
STRIP = 256
#: Images of at most so many pixels are kept measured.
SMALL = 2**19
#: About so many pixels tell what is usual.
SAMPLE = 2**14
#: The share of them that counts in full, and in how many rounds that is found.
USUAL_SHARE, ROUNDS = 0.9, 3
#: Half a grey level of 255, squared: less variance than that says nothing.
LEAST_ENERGY = 4e-6
#: Standard deviations of a measurement below these count as these: means on the [0, 1] scale, and
#: logarithms of energies.
LEAST_SPREAD = (1e-3, 0.02)
#: Squared distances are told apart from about here on.
LEAST_DISTANCE = 0.1
#: Share of the pixels that reach 1 in a map of scores.
USUAL = 0.95


class Evidence(NamedTuple):
    """What there is to judge an image by, on the [0, 1] scale.

    `image` and `prediction`: float32 (H, W, C); `sigma`, the predicted standard deviation, and
    `noise`, that of the noise: float32 (H, W); `included`: bool (H, W).
    """

    image: Image
    prediction: Image
    sigma: Map
    noise: Map
    included: Mask

    def rows(self, rows: slice) -> Evidence:
        """Return what concerns these rows."""
        image, prediction, sigma, noise, included = self
        return Evidence(image[rows], prediction[rows], sigma[rows], noise[rows], included[rows])


class _Law(NamedTuple):
    """What is usual: the centre, and the form whose value is the squared distance."""

    centre: NDArray[np.float64]
    form: NDArray[np.float64]
    median: float
    spread: float


def add_distances(evidence: Evidence, scores: Map) -> int:
    """Add a map of standardised distances to `scores` for each window, and return their number.

    Only included pixels have any influence; what is added elsewhere means nothing.
    """
    with blas_on_one_thread():
        for width in WINDOWS:
            strips: Iterable[_Strip] = _Strips(evidence, width)
            if evidence.included.size <= SMALL:
                strips = list(strips)  # measured once, not twice
            law = _usual(_sampled(strips, evidence.included), _floors(evidence.image.shape[2]))
            for rows, measured in strips:
                distance = np.log(_distance(measured, law.centre, law.form) + LEAST_DISTANCE)
                scores[rows] += ((distance - law.median) / law.spread).astype(np.float32)
    return len(WINDOWS)


def _floors(channels: int) -> NDArray[np.float64]:
    mean, energy = LEAST_SPREAD
    return np.array([mean] * (2 * channels) + [energy] * 7)


class _Strips:
    """Measures strip by strip, anew each time it is gone through."""

    def __init__(self, evidence: Evidence, width: float) -> None:
        self.evidence, self.width = evidence, width

    def __iter__(self) -> Iterator[_Strip]:
        height = len(self.evidence.image)
        halo = math.ceil(REACH * self.width) + 2
        for top in range(0, height, STRIP):
            bottom = min(top + STRIP, height)
            first, last = max(top - halo, 0), min(bottom + halo, height)
            part = self.evidence.rows(slice(first, last))
            yield slice(top, bottom), _measure(part, self.width)[top - first : bottom - first]


def _measure(part: Evidence, width: float) -> NDArray[np.float32]:
    """Return the measurements around each pixel, of shape (H, W, measurements), noise last."""
    seen = part.included.astype(np.float32)
    residual = np.where(part.included[:, :, None], part.image - part.prediction, np.float32(0))

    def pooled(values: Map, weight: Map) -> Map:
        return np.asarray(
            gaussian_filter(values * weight, width, truncate=REACH, mode="reflect") / total,
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
    total = gaussian_filter(seen, width, truncate=REACH, mode="reflect")
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


def _sampled(strips: Iterable[_Strip], included: Mask) -> NDArray[np.float64]:
    """Measurements of included pixels, evenly spread, of shape (N, measurements)."""
    step = max(1, int(np.count_nonzero(included)) // SAMPLE)
    while math.gcd(step, included.shape[1]) > 1:  # or it would meet the same columns in every row
        step += 1
    parts, seen = [], 0
    for rows, measured in strips:
        here = measured[included[rows]]
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
        distance = _distance(sample, centre, form)
        far = max(float(np.quantile(distance, USUAL_SHARE)), LEAST_DISTANCE)
        weight = far / np.maximum(distance, far)
    score = np.log(distance + LEAST_DISTANCE)
    median, high = np.quantile(score, (0.5, USUAL))
    return _Law(centre, form, float(median), max(float(high - median), LEAST_DISTANCE))


def _distance(
    measured: NDArray[Any], centre: NDArray[np.float64], form: NDArray[np.float64]
) -> NDArray[np.float64]:
    away = measured.astype(np.float64) - centre
    return np.asarray(np.maximum(np.einsum("...i,...i->...", away @ form, away), 0.0))
