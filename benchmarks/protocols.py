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
