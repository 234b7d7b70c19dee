"""Periodic interference: sinusoids that run unchanged over the whole image.

Three things tell interference from texture. It is a line in the spectrum, far above the mean of its
surroundings; its amplitude and phase are the same in every part of the image; and it stands alone,
where a fence or a brick wall brings a family of harmonics. Images have most of their power at low
frequencies and are far calmer in some places than in others, so the spectrum is taken of octave
bands, high-passed and weighted by the inverse of their local power: a weak sinusoid is found where
the image leaves room for it. What was found is subtracted, and the search repeated on the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from .bands import Window, summed
from .candidates import NO_SCORE, NOTHING, Candidate, Component, component, descending, waves
from .peaks import BANDS, measure, new_candidates, strong

if TYPE_CHECKING:
    from numpy.typing import NDArray


__all__ = ["FEATURES", "SPECTRUM_SIDE", "Component", "Periodic", "find_periodic", "remove"]

#: What `Periodic.features` holds: the strongest candidate's measures, its log odds, the log odds of
#: the second, and what was accepted.
FEATURES: tuple[str, ...] = (
    "log_ratio",
    "log_spread",
    "agreement",
    "coherence",
    "log_amplitude",
    "concentration",
    "off_axis",
    "off_lattice",
    "log_frequency",
    "harmonics",
    "log_tiles",
    "score",
    "second_score",
    "accepted",
    "log_total_amplitude",
    "candidates",
)
#: Side of the spectrum that is handed back for plotting.
SPECTRUM_SIDE = 128
#: Images of at most so many pixels are searched in one window with sides up to `LONGEST`; larger
#: ones in windows of side `LARGEST`, about one per megapixel and `MOST_WINDOWS` at most.
WHOLE = 400_000
LONGEST = 768
LARGEST = 512
MOST_WINDOWS = 16
#: Shortest side of a window, and of its coarser levels.
LEAST = 16
LEAST_COARSE = 16
PASSES = 3


@dataclass(frozen=True)
class Periodic:
    """The periodic interference of an image.

    Attributes
    ----------
    components
        Sinusoids, strongest first: frequencies in cycles per pixel (the vertical one from 0 to
        1/2, the other above -1/2), amplitude on the [0, 1] scale, phase at pixel (0, 0), and the
        probability that it is interference.
    features
        What a classifier needs to know; named in `FEATURES`.
    spectrum
        Decimal logarithm of the whitened power, zero frequency in the middle, for plotting.
    """

    components: tuple[Component, ...]
    features: NDArray[np.float64]
    spectrum: NDArray[np.float32]


def find_periodic(pixels: NDArray[np.float32], included: NDArray[np.bool_]) -> Periodic:
    """Sinusoids that run over the whole image.

    Parameters
    ----------
    pixels
        Image of shape (H, W, C) in [0, 1].
    included
        Bool of shape (H, W): the pixels that count.
    """
    height, width = included.shape
    spectrum = np.zeros((SPECTRUM_SIDE, SPECTRUM_SIDE), dtype=np.float32)
    if min(height, width) < LEAST or not included.any():
        return Periodic((), _features([], []), spectrum)
    shape, offsets = _windows(height, width)
    windows = [Window.cut(pixels, included, offset, shape) for offset in offsets]
    levels = 1
    while levels < len(BANDS) and min(shape) >> levels >= LEAST_COARSE:
        levels += 1

    accepted: list[Candidate] = []
    features = np.zeros(len(FEATURES))
    for number in range(PASSES):
        bands = [window.bands(accepted, levels) for window in windows]
        power = [summed([band[level].power for band in bands]) for level in range(levels)]
        for old in accepted:
            measure(old, [band[old.level] for band in bands], shape)
        accepted = [old for old in accepted if old.score > 0.0]
        found = new_candidates(power, bands, accepted, shape)
        new = strong([each for each in found if each.score > 0.0], accepted, shape)
        accepted = accepted + new
        if number == 0:
            spectrum = _thumbnail(power[0], shape)
            features = _features(found, accepted)
        if not accepted or (number > 0 and not new):
            break
    accepted.sort(key=lambda each: descending(abs(each.phasor), each))
    components = [component(each) for each in accepted]
    features[FEATURES.index("accepted")] = len(components)
    total = math.sqrt(sum(each.amplitude**2 for each in components))
    features[FEATURES.index("log_total_amplitude")] = math.log(255.0 * total + 1e-3)
    return Periodic(tuple(components), features, spectrum)


def remove(pixels: NDArray[np.float32], components: tuple[Component, ...]) -> NDArray[np.float32]:
    """The image less the sinusoids, in every channel alike; not cut to [0, 1]."""
    height, width = pixels.shape[:2]
    wave = waves(components, (0, 0), (height, width))
    return np.asarray(pixels - wave[:, :, None], dtype=np.float32)


def _windows(height: int, width: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Shape and places of the windows that are searched."""
    longest = LONGEST if height * width <= WHOLE else LARGEST
    shape = _handy(min(height, longest)), _handy(min(width, longest))
    count = min(max((height * width + 500_000) // 1_000_000, 1), MOST_WINDOWS)
    rows = min(max(math.floor(math.sqrt(count * height / width) + 0.5), 1), -(-height // shape[0]))
    columns = min(max(count // rows, 1), -(-width // shape[1]))

    def places(size: int, side: int, number: int) -> list[int]:
        if number == 1:
            return [(size - side) // 2]
        return [(size - side) * i // (number - 1) for i in range(number)]

    tops, lefts = places(height, shape[0], rows), places(width, shape[1], columns)
    return shape, [(top, left) for top in tops for left in lefts]


def _handy(side: int) -> int:
    """The largest multiple of 8 not above `side` (at least 16) that is quick to transform."""
    side -= side % 8
    while True:
        rest = side
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return side
        side -= 8


def _features(found: list[Candidate], accepted: list[Candidate]) -> NDArray[np.float64]:
    scores = sorted((each.score for each in found), reverse=True)
    best = max(found, key=lambda each: each.score, default=None)
    measures = NOTHING if best is None else best.measures
    scores += [NO_SCORE, NO_SCORE]
    return np.array([*measures, *scores[:2], len(accepted), math.log(1e-3), len(found)])


def _thumbnail(power: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """The whole spectrum in `SPECTRUM_SIDE`² cells, each the mean of the bins in it."""
    rows, columns = shape
    mirrored = power[-np.arange(rows) % rows][:, (columns - 1) // 2 : 0 : -1]
    whole = fft.fftshift(np.concatenate([power, mirrored], axis=1)).astype(np.float64)
    sums = np.pad(np.cumsum(np.cumsum(whole, axis=0), axis=1), ((1, 0), (1, 0)))
    (y0, y1), (x0, x1) = (_cells(side) for side in (rows, columns))
    total = sums[y1][:, x1] - sums[y0][:, x1] - sums[y1][:, x0] + sums[y0][:, x0]
    means = np.maximum(total, 0.0) / np.outer(y1 - y0, x1 - x0)
    return np.log10(means + 1e-3).astype(np.float32)


def _cells(side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    start = np.arange(SPECTRUM_SIDE) * side // SPECTRUM_SIDE
    return start, np.maximum(np.arange(1, SPECTRUM_SIDE + 1) * side // SPECTRUM_SIDE, start + 1)
