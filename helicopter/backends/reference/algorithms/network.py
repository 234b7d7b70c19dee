"""The network: a correction to the harmonic solution, and how far the corrected pixel may be off.

A residual U-Net (Ronneberger, Fischer & Brox, "U-Net: convolutional networks for biomedical image
segmentation", MICCAI 2015; residual blocks without normalisation as in Lim et al., "Enhanced deep
residual networks for single image super-resolution", CVPRW 2017) that works at half the image's
resolution and below. Activations are float32 arrays of shape (height, width, channels).

Large images are worked on in tiles. Each sees as far around itself as the network looks, so tiling
changes nothing but, where BLAS sums in another order for another size, the last bits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._shared.blas import blas_on_one_thread
from helicopter.backends._threads import share_out
from helicopter.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from helicopter._shared.arrays import Image, Map, Mask
    from helicopter.models._network import NetworkWeights

__all__ = ["predict"]

#: Side of a tile, without what it sees around itself; a multiple of every network's stride.
TILE = 1024
#: Positions that one product of matrices covers, so that what it touches stays in the cache.
STRIP = 4096


@blas_on_one_thread()
def predict(context: Image, mask: Mask, weights: NetworkWeights) -> Map:
    """Correct the hidden pixels of `context` in place and return their standard deviation.

    Parameters
    ----------
    context : float32 ndarray of shape (H, W, C)
        In [0, 1], C = 1 or 3; hidden pixels hold the harmonic solution.
    mask : bool ndarray of shape (H, W)
        True = hidden.
    weights : NetworkWeights

    Returns
    -------
    float32 ndarray of shape (H, W)
        0 at visible pixels.

    Raises
    ------
    ModelError
        If weights are so large that what is predicted overflows.
    """
    calibration = weights.calibration
    sigma = np.zeros(mask.shape, dtype=np.float32)
    solution = context.copy() if max(mask.shape) > TILE else context
    for core in _cores(mask, weights.architecture.stride):
        with np.errstate(over="ignore", invalid="ignore"):  # seen to below
            correction, log_scale = _correct(solution, mask, core, weights)
        hidden = mask[core]
        if context.shape[2] == 1:
            correction = correction.mean(axis=2, keepdims=True)
        corrected = np.clip(solution[core][hidden] + correction[hidden], 0.0, 1.0)
        context[core][hidden] = corrected
        stated = log_scale[hidden].astype(np.float64)
        with np.errstate(over="ignore"):
            sigma[core][hidden] = np.exp(
                np.interp(stated, calibration.log_scale, calibration.log_sigma)
            )
        if not (np.isfinite(corrected).all() and np.isfinite(sigma[core]).all()):
            raise ModelError(
                "predict: what it predicts of this image are no finite numbers; train it anew, or "
                "take the network that comes with Helicopter"
            )
    return sigma


def _cores(mask: Mask, stride: int) -> Iterator[tuple[slice, slice]]:
    """The boxes to predict: of each tile what holds all its hidden pixels, aligned to `stride`."""
    height, width = mask.shape
    tile = max(TILE // stride, 1) * stride
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            hidden = mask[top : top + tile, left : left + tile]
            (rows,), (cols,) = (np.nonzero(hidden.any(axis=axis)) for axis in (1, 0))
            if rows.size:
                yield (
                    slice(top + _down(rows[0], stride), min(top + _up(rows[-1], stride), height)),
                    slice(left + _down(cols[0], stride), min(left + _up(cols[-1], stride), width)),
                )


def _down(position: Any, stride: int) -> int:
    return int(position) // stride * stride


def _up(position: Any, stride: int) -> int:
    return (int(position) // stride + 1) * stride


def _correct(
    solution: Image, mask: Mask, core: tuple[slice, slice], weights: NetworkWeights
) -> tuple[Image, Map]:
    """Return the corrections (3 channels) and log scales within `core`."""
    stride, halo = weights.architecture.stride, weights.architecture.halo
    # what the network sees ends at the image's border or where nothing has a say any more
    rows, cols = (
        slice(max(side.start - halo, 0), min(side.stop + halo, length))
        for side, length in zip(core, mask.shape, strict=True)
    )
    seen, hidden = solution[rows, cols], mask[rows, cols]
    height, width = hidden.shape
    padded = (height + -height % stride, width + -width % stride)
    features = np.zeros((*padded, 5), dtype=np.float32)
    features[:height, :width, :3] = 2 * seen - 1  # grey stands for all three colours
    features[:height, :width, 3] = hidden
    features[:height, :width, 4] = 1
    correction, log_scale = _run(features, weights)
    inner = tuple(
        slice(side.start - around.start, side.stop - around.start)
        for side, around in zip(core, (rows, cols), strict=True)
    )
    return correction[inner], log_scale[inner][:, :, 0]


def _run(features: Image, weights: NetworkWeights) -> tuple[Image, Image]:
    """The network itself."""
    a, layers = weights.architecture, _layers(weights)

    def blocks(x: Image, way: str, level: int, count: int) -> Image:
        for block in range(count):
            y = _convolve(x, layers[f"{way}.{level}.{block}.first"])
            np.maximum(y, 0, out=y)
            x = x + _convolve(y, layers[f"{way}.{level}.{block}.second"])
        return x

    x = _convolve(_unshuffle(features), layers["enter"])
    skipped = []
    deepest = len(a.widths) - 1
    for level in range(deepest):
        x = blocks(x, "down", level, a.down[level])
        skipped.append(x)
        x = _shrink(x, layers[f"shrink.{level}"])
    x = blocks(x, "down", deepest, a.down[deepest])
    for level in reversed(range(deepest)):
        x = skipped.pop() + _shuffle(_convolve(x, layers[f"grow.{level}"]))
        x = blocks(x, "up", level, a.up[level])
    scale = np.maximum(_convolve(x, layers["scale_first"]), 0)
    return (
        _shuffle(_convolve(x, layers["mean"])),
        _shuffle(_convolve(scale, layers["scale_second"])),
    )


@lru_cache(maxsize=4)
def _layers(weights: NetworkWeights) -> Mapping[str, tuple[Image, Image]]:
    """Of each convolution one matrix (inputs, outputs) for each of its taps, and the bias."""
    layers = {}
    for name, value in weights.tensors.items():
        layer, kind = name.rsplit(".", 1)
        if kind == "weight":
            taps = np.ascontiguousarray(value.transpose(2, 3, 1, 0))
            layers[layer] = taps, weights.tensors[f"{layer}.bias"]
    return layers


def _convolve(x: Image, layer: tuple[Image, Image]) -> Image:
    """3 x 3 or 1 x 1 convolution with zeros around the image.

    With the rows of a padded image one behind the other, every tap of the kernel is a shift of that
    long row, and the convolution a sum of products of matrices. Each row of the result ends in as
    many meaningless positions as the padding has, which are cut off.
    """
    taps, bias = layer
    side = taps.shape[0]
    margin = side // 2
    height, width, inputs = x.shape
    padded = np.pad(x, ((margin, margin), (margin, margin), (0, 0)))
    pitch = padded.shape[1]
    row = padded.reshape(-1, inputs)
    count = height * pitch - 2 * margin
    out = np.empty((height * pitch, len(bias)), dtype=np.float32)

    def fill(start: int) -> None:
        end = min(start + STRIP, count)
        part = out[start:end]
        part[:] = bias
        for dy in range(side):
            for dx in range(side):
                shift = dy * pitch + dx
                part += row[start + shift : end + shift] @ taps[dy, dx]

    share_out(fill, range(0, count, STRIP))
    return out.reshape(height, pitch, -1)[:, :width]


def _shrink(x: Image, layer: tuple[Image, Image]) -> Image:
    """2 x 2 convolution with stride 2: one product of matrices."""
    taps, bias = layer
    height, width, inputs = x.shape
    quads = x.reshape(height // 2, 2, width // 2, 2, inputs).transpose(0, 2, 1, 3, 4)
    matrix = taps.reshape(4 * inputs, -1)
    return np.asarray(quads.reshape(height // 2, width // 2, 4 * inputs) @ matrix + bias)


def _unshuffle(x: Image) -> Image:
    """Four sub-pixels become four channels: channel c becomes 4 c + 2 dy + dx."""
    height, width, channels = x.shape
    quads = x.reshape(height // 2, 2, width // 2, 2, channels).transpose(0, 2, 4, 1, 3)
    return quads.reshape(height // 2, width // 2, 4 * channels)


def _shuffle(x: Image) -> NDArray[np.float32]:
    """The way back."""
    height, width, channels = x.shape
    quads = x.reshape(height, width, channels // 4, 2, 2).transpose(0, 3, 1, 4, 2)
    return quads.reshape(2 * height, 2 * width, channels // 4)
