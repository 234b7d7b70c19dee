"""Draw images as a fluorescence microscope takes them, to train a network on.

    python examples/cells.py FOLDER

writes FOLDER/train/*.tif (12-bit values in 16 bits), and a further image with a mask to try it on.
Without FOLDER it draws two images and throws them away. The tutorial that goes with it is
docs/tutorial-own-images.md.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from helicopter.io import write_image

SIDE = 384
WHITE = 4095


def draw_cells(rng, side=SIDE):
    """Return one field of view: nuclei with granules, dim cell bodies, fibres, shot noise."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    light = np.full((side, side), 60, dtype=np.float32)
    granules = gaussian_filter(rng.standard_normal((side, side)), 1.5)
    granules = 1 + 0.35 * granules / granules.std()
    fibres = gaussian_filter(rng.standard_normal((side, side)), (1.2, 12))
    fibres = np.clip(fibres / fibres.std(), 0, None)
    for _ in range(rng.integers(18, 34)):
        cy, cx = rng.uniform(0, side, 2)
        angle, long, wide = rng.uniform(0, np.pi), rng.uniform(14, 24), rng.uniform(10, 16)
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        distance = np.hypot(u / long, v / wide) + 0.08 * np.sin(3 * np.arctan2(v, u) + cx)
        nucleus = 1 / (1 + np.exp((distance - 1) * 14))
        body = 1 / (1 + np.exp((distance - 2.1) * 6))
        light += rng.uniform(500, 2200) * nucleus * granules
        light += rng.uniform(60, 220) * body * (0.4 + fibres)
    light = gaussian_filter(light, 1.0)  # the microscope's own blur
    seen = rng.poisson(np.clip(light, 0, None)) + rng.normal(0, 6, light.shape)
    return np.clip(seen, 0, WHITE).astype(np.uint16)


def draw_damage(rng, side=SIDE):
    """Return a mask of lost rows, dust and a burnt-out spot."""
    y, x = np.mgrid[:side, :side]
    mask = np.zeros((side, side), dtype=bool)
    for row in rng.integers(0, side - 4, 6):
        mask[row : row + 3] = True
    for _ in range(40):
        cy, cx, radius = *rng.uniform(0, side, 2), rng.uniform(3, 9)
        mask |= np.hypot(y - cy, x - cx) < radius
    return mask | (np.hypot(y - side / 2, x - side / 2) < 22)


def write_set(folder, count):
    """Write `count` images to train on, and one with its mask that is not among them."""
    (folder / "train").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        image = draw_cells(np.random.default_rng([1, number]))
        write_image(folder / "train" / f"cells-{number:03}.tif", image)
    rng = np.random.default_rng(2)
    image, mask = draw_cells(rng), draw_damage(rng)
    write_image(folder / "truth.tif", image)
    write_image(folder / "mask.png", mask.astype(np.uint8) * 255)
    write_image(folder / "damaged.tif", np.where(mask, np.uint16(0), image))
    print(f"{count} images of {SIDE} x {SIDE} pixels in {folder / 'train'}")
    print(f"damaged.tif, mask.png ({mask.mean():.0%} hidden) and truth.tif in {folder}")


if len(sys.argv) > 1:
    write_set(Path(sys.argv[1]), 60)
else:
    with tempfile.TemporaryDirectory() as folder:
        write_set(Path(folder), 2)
