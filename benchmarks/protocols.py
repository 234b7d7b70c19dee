"""The mask protocols P1 to P6 and the scores over hidden pixels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Mask = NDArray[np.bool_]

PROTOCOLS = {
    "P1": "25 % of 16-pixel blocks",
    "P2": "25 % of 32-pixel patches",
    "P3": "80 % of 32-pixel patches",
    "P4": "50 % of single pixels",
    "P4b": "80 % of single pixels",
    "P5": "a hole of 128 pixels in the centre",
    "P6": "scribbles 3 to 9 pixels wide, 10 %",
}
_CELLS = {"P1": (16, 0.25), "P2": (32, 0.25), "P3": (32, 0.8), "P4": (1, 0.5), "P4b": (1, 0.8)}


def make_mask(protocol: str, height: int, width: int, number: int) -> Mask:
    """Return the mask of image `number` under a protocol; True = hidden."""
    rng = np.random.default_rng([20261123, list(PROTOCOLS).index(protocol), number])
    if protocol in _CELLS:
        side, share = _CELLS[protocol]
        rows, cols = -(-height // side), -(-width // side)
        hidden = rng.permutation(rows * cols) < round(share * rows * cols)
        cells = hidden.reshape(rows, cols)
        return cells.repeat(side, axis=0).repeat(side, axis=1)[:height, :width].copy()
    if protocol == "P5":
        side = min(128, height // 4, width // 4)
        top, left = (height - side) // 2, (width - side) // 2
        mask = np.zeros((height, width), dtype=bool)
        mask[top : top + side, left : left + side] = True
        return mask
    return _scribbles(rng, height, width)


def _scribbles(rng: np.random.Generator, height: int, width: int) -> Mask:
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    while np.count_nonzero(canvas) < 0.10 * height * width:
        x, y, angle = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0, 2 * math.pi)
        points = [(x, y)]
        for _ in range(int(rng.integers(4, 12))):
            angle += rng.normal(0, 0.6)
            step = rng.uniform(10, 45)
            x, y = x + step * math.cos(angle), y + step * math.sin(angle)
            points.append((x, y))
        draw.line(points, fill=1, width=int(rng.integers(3, 10)), joint="curve")
    return np.asarray(canvas) > 0


def psnr(truth: NDArray[np.uint8], output: NDArray[np.uint8], hidden: Mask) -> float:
    """Peak signal-to-noise ratio over the hidden pixels, in decibels."""
    error = truth[hidden].astype(np.float64) - output[hidden]
    return 10 * math.log10(255.0**2 / max(float(np.mean(error * error)), 1e-12))


def ssim(truth: NDArray[np.uint8], output: NDArray[np.uint8], hidden: Mask) -> float:
    """Structural similarity as scikit-image defines it, mean over the hidden pixels."""
    from skimage.metrics import structural_similarity

    _, everywhere = structural_similarity(truth, output, channel_axis=2, data_range=255, full=True)
    return float(everywhere[hidden].mean())


def texture(truth: NDArray[np.uint8], output: NDArray[np.uint8], hidden: Mask) -> float:
    """Faithfulness of texture: whether the detail has the right strength, wherever it lies.

    PSNR asks for the very pixels, so that a smooth guess beats a texture that is only alike. Here
    the differences of neighbours 1, 2 and 4 pixels apart are compared as distributions, in squares
    of 32 pixels: 1 less the Wasserstein distance between their sizes, in units of the truth's mean.
    1: the same amounts of detail; 0: none at all, or twice what there is.
    """
    grey = [image.mean(axis=2, dtype=np.float32) for image in (truth, output)]
    rows, columns = (np.arange(length) // 32 for length in hidden.shape)
    cells = rows[:, None] * (columns[-1] + 1) + columns
    lost = total = 0.0
    for step in (1, 2, 4):
        for turned in (False, True):
            one, other, mask, cell = (a.T if turned else a for a in (*grey, hidden, cells))
            drawn = mask[step:] | mask[:-step]
            cell = cell[step:][drawn]
            sizes = [np.abs(image[step:] - image[:-step])[drawn] for image in (one, other)]
            # both in the order of size within each square, which holds as many of either
            one, other = (size[np.lexsort((size, cell))] for size in sizes)
            lost += float(np.abs(one - other).sum(dtype=np.float64))
            total += float(one.sum(dtype=np.float64))
    return 1.0 - lost / max(total, 1e-12)
