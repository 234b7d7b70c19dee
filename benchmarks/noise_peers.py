"""What `noise.py` compares ours with: blind estimators of the standard deviation of noise.

A peer takes an 8-bit photograph, (H, W) or (H, W, C) with 1 or 3 channels, and returns a standard
deviation in grey levels. Three come from packages; the others, for which there is no package, are
written here from the published formulas, with the parameters that their authors give. Where a
method knows one channel only, the channels are taken one by one and averaged.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.stats import gamma

Peer = Callable[[NDArray[Any]], float]

#: Blocks are unrolled this many at a time, so that they stay in the processor's cache.
CHUNK = 1 << 14


def _by_channel(peer: Peer) -> Peer:
    """Let a method for one channel take colour: the mean over the channels."""

    @functools.wraps(peer)
    def of_all(image: NDArray[Any]) -> float:
        if image.ndim == 2:
            return peer(image)
        return float(np.mean([peer(np.ascontiguousarray(p)) for p in np.moveaxis(image, 2, 0)]))

    return of_all


def _windows(image: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return all blocks of an (H, W) or (H, W, C) image, around its mean: (rows, columns, ...).

    Without the mean, products in float32 would be far too coarse.
    """
    values = image.astype(np.float32)
    values -= values.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    return sliding_window_view(values, (side, side), axis=(0, 1))


def _strips(windows: NDArray[Any]) -> list[slice]:
    """Cut the rows of blocks so that a strip, unrolled, stays in the processor's cache."""
    step = max(1, CHUNK // windows.shape[1])
    return [slice(top, top + step) for top in range(0, windows.shape[0], step)]


def _moments(blocks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sums of products of rows, and behind them the sums."""
    products = (blocks.T @ blocks).astype(np.float64)
    return np.vstack([products, blocks.sum(axis=0, dtype=np.float64)])


def _eigenvalues(moments: NDArray[np.float64], number: NDArray[Any] | int) -> NDArray[np.float64]:
    """Return the eigenvalues of the covariance, ascending and at least 0."""
    scaled = moments / np.asarray(number)[..., None, None]
    means = scaled[..., -1, :]
    covariance = scaled[..., :-1, :] - means[..., :, None] * means[..., None, :]
    return np.maximum(np.linalg.eigvalsh(covariance), 0.0)


def _box(plane: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Return the sums over all windows of a shape."""
    rows = sum(plane[k : plane.shape[0] - height + 1 + k] for k in range(height))
    return sum(rows[:, k : plane.shape[1] - width + 1 + k] for k in range(width))


# -- from packages -----------------------------------------------------------------------------


def scikit_image(image: NDArray[Any]) -> float:
    """scikit-image's `estimate_sigma`: median of the finest diagonal wavelet coefficients.

    Donoho, Johnstone: Ideal spatial adaptation by wavelet shrinkage. Biometrika 81(3), 1994.
    """
    restoration = importlib.import_module("skimage.restoration")
    if image.ndim == 3 and image.shape[2] > 1:
        return float(restoration.estimate_sigma(image, average_sigmas=True, channel_axis=-1))
    return float(restoration.estimate_sigma(image.reshape(image.shape[:2])))


@_by_channel
def diplib(image: NDArray[Any]) -> float:
    """DIPlib's `EstimateNoiseVariance`: Immerkaer's operator away from edges.

    Immerkaer: Fast noise variance estimation. Computer Vision and Image Understanding 64(2), 1996;
    edges are left out by a threshold on the gradient magnitude.
    """
    library = importlib.import_module("diplib")
    return math.sqrt(library.EstimateNoiseVariance(library.Image(image)))


@_by_channel
def colom(image: NDArray[Any]) -> float:
    """The authors' own program (package `ponomarenko`), told that all levels have the same noise.

    Colom, Buades: Analysis and extension of the Ponomarenko et al. method, estimating a noise curve
    from a single image. Image Processing On Line 3, 2013.
    """
    library = importlib.import_module("ponomarenko")
    plane = np.ascontiguousarray(image, dtype=np.float32)
    return float(library.estimate_noise(plane, num_bins=1)[1][0])


# -- from papers -------------------------------------------------------------------------------


@_by_channel
def immerkaer(image: NDArray[Any]) -> float:
    """Mean absolute response to the difference of two Laplacians.

    Immerkaer: Fast noise variance estimation. Computer Vision and Image Understanding 64(2), 1996.
    """
    # [1 -2 1] down, then across; 8-bit values stay within 16 bits
    plane = image.astype(np.int16 if image.dtype == np.uint8 else np.float32)
    down = plane[2:] + plane[:-2] - 2 * plane[1:-1]
    both = down[:, 2:] + down[:, :-2] - 2 * down[:, 1:-1]
    return float(np.abs(both, out=both).mean(dtype=np.float64)) * math.sqrt(math.pi / 2) / 6


def chen(image: NDArray[Any]) -> float:
    """Mean of the smallest eigenvalues of the patch covariance, as many as spread evenly.

    Chen, Zhu, Heng: An efficient statistical method for image noise level estimation. ICCV 2015.
    Patches of 8 x 8, in colour 8 x 8 x 3, at every third pixel as in the authors' program. The
    largest eigenvalues are dropped until the mean of the rest is also their median.
    """
    windows = _windows(image, 8)[::3, ::3]
    blocks = windows.reshape(windows.shape[0] * windows.shape[1], -1)
    values = _eigenvalues(_moments(blocks), len(blocks))
    for count in range(values.size, 1, -1):  # the exact tie of the paper is passed over at times
        mean = values[:count].mean()
        if mean <= np.median(values[:count]):
            return math.sqrt(mean)
    return math.sqrt(values[0])


def _unclipped(image: NDArray[Any], side: int) -> NDArray[np.intp]:
    """Return the numbers of the blocks with at most a tenth of their pixels at 0 or 255."""
    ends = ((image <= 0) | (image >= 255)).astype(np.int16)
    return np.flatnonzero(_box(ends, side, side) <= side * side // 10)


@_by_channel
def pyatykh(image: NDArray[Any]) -> float:
    """Smallest principal component of the blocks of least variance.

    Pyatykh, Hesser, Zheng: Image noise level estimation by principal component analysis. IEEE
    Transactions on Image Processing 22(2), 2013. Blocks of 5 x 5; the parameters are the paper's.
    Blocks with more than a tenth of their pixels clipped are left out, as in the authors' program;
    without that it loses 15 levels at sigma 50.
    """
    side, trailing, limit, step, least, least_blocks = 5, 7, 49.0, 0.05, 0.06, 500
    windows = _windows(image, side)
    area, plane = side * side, image.astype(np.float64)
    spread = _box(plane**2, side, side) / area - (_box(plane, side, side) / area) ** 2
    whole = _unclipped(image, side)
    if whole.size < least_blocks:
        whole = np.arange(spread.size)
    # sums over the calmest share p of the blocks, for every p at once
    shares = np.arange(1, round(1 / step) + 1) * step
    ends = np.round(shares * whole.size).astype(int)
    order = whole[np.argsort(spread.ravel()[whole])]
    moments = []
    for part in np.split(order, ends[:-1]):
        rows, columns = np.divmod(np.sort(part), spread.shape[1])
        moments.append(_moments(windows[rows, columns].reshape(-1, area)))
    values = _eigenvalues(np.cumsum(moments, axis=0), ends)

    bound = 3.1 * float(np.quantile(spread.ravel()[whole], 0.0005))
    estimate = bound
    for _ in range(10):
        found = 0.0
        for place in range(len(shares) - 1, -1, -1):
            if shares[place] < least:
                break
            found = values[place, 0]
            gap = values[place, trailing - 1] - values[place, 0]
            if gap < limit * estimate / math.sqrt(ends[place]) and found <= bound:
                break
        if found == estimate:
            break
        estimate = found
    return math.sqrt(estimate)


@functools.cache
def _texture_bound(side: int) -> float:
    """Return the texture strength that 1 patch in 10⁶ of unit white noise exceeds."""
    line = np.zeros((side - 2, side))
    places = np.arange(side - 2)
    line[places, places], line[places, places + 2] = -0.5, 0.5
    across, down = np.kron(np.eye(side), line), np.kron(line, np.eye(side))
    matrix = across.T @ across + down.T @ down
    rank, trace = np.linalg.matrix_rank(matrix), np.trace(matrix)
    return float(gamma.ppf(1 - 1e-6, rank / 2, scale=2 * trace / rank))


@_by_channel
def liu(image: NDArray[Any]) -> float:
    """Smallest principal component of the patches whose gradients are those of noise.

    Liu, Tanaka, Okutomi: Single-image noise level estimation for blind denoising. IEEE Transactions
    on Image Processing 22(12), 2013. Patches of 7 x 7, confidence 1 - 10⁻⁶, three rounds as in the
    authors' program: repeated until it settles it does better without noise, and worse from sigma 2
    to 5, where it can run away from one round to the next.
    """
    side, rounds = 7, 3
    plane = image.astype(np.float32)
    across = np.square((plane[:, 2:] - plane[:, :-2]) / 2)
    down = np.square((plane[2:] - plane[:-2]) / 2)
    strength = _box(across, side, side - 2) + _box(down, side - 2, side)
    windows, bound, variance = _windows(image, side), _texture_bound(side), math.inf
    for _ in range(rounds):
        weak = strength < bound * variance
        number = np.count_nonzero(weak)
        if number < side * side:
            break
        moments = sum(
            _moments(windows[strip][weak[strip]].reshape(-1, side * side))
            for strip in _strips(windows)
        )
        variance = float(_eigenvalues(moments, number)[0])
    return math.sqrt(variance)


@_by_channel
def ponomarenko(image: NDArray[Any]) -> float:
    """Median power of the high frequencies of the blocks with the least low-frequency energy.

    Ponomarenko, Lukin, Zriakhov, Kaarna, Astola: An automatic approach to lossy compression of
    AVIRIS images. IGARSS 2007, in the form of Colom, Buades: Analysis and extension of the
    Ponomarenko et al. method. Image Processing On Line 3, 2013. All blocks of 8 x 8, of which the
    calmest 0.5 % are used; low frequencies are those with 1 <= i + j < 9.
    """
    side, share, border = 8, 0.005, 9
    k, x = np.mgrid[:side, :side]
    cosines = np.cos(math.pi * (2 * x + 1) * k / (2 * side)) * math.sqrt(2 / side)
    cosines[0] /= math.sqrt(2)
    transform = np.kron(cosines, cosines).astype(np.float32)
    order = np.add.outer(np.arange(side), np.arange(side)).ravel()
    low, high = transform[(order > 0) & (order < border)], transform[order >= border]

    windows = sliding_window_view(image, (side, side))
    rows, columns = windows.shape[:2]
    calm = np.empty((rows, columns), dtype=np.float32)
    for strip in _strips(windows):
        blocks = windows[strip].reshape(-1, side * side).astype(np.float32)
        calm[strip] = np.square(blocks @ low.T).sum(axis=1).reshape(-1, columns)
    number = max(1, int(share * calm.size))
    best = np.argpartition(calm.ravel(), number - 1)[:number]
    chosen = windows[best // columns, best % columns].reshape(number, -1).astype(np.float32)
    power = np.square(chosen @ high.T).mean(axis=0)
    return math.sqrt(float(np.median(power)))


PEERS: dict[str, Peer] = {
    "scikit-image": scikit_image,
    "DIPlib": diplib,
    "Colom, IPOL": colom,
    "Immerkaer 1996": immerkaer,
    "Chen 2015": chen,
    "Pyatykh 2013": pyatykh,
    "Liu 2013": liu,
    "Ponomarenko 2007": ponomarenko,
}
_NEEDS = {
    "scikit-image": {"skimage": "scikit-image", "pywt": "PyWavelets"},
    "DIPlib": {"diplib": "diplib"},
    "Colom, IPOL": {"ponomarenko": "ponomarenko"},  # FFTW's headers, a compiler and make too
}


def lacking(name: str) -> list[str]:
    """Return the packages that a peer needs and this environment does not have."""
    needs = _NEEDS.get(name, {})
    return [package for module, package in needs.items() if not importlib.util.find_spec(module)]
