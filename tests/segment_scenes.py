"""Scenes and label arrays of which the answer is plain, for the tests of segments."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scenes import scene


def voronoi(height, width, count, seed=0):
    """Labels 0 .. count - 1 of cells around random points; some may have no pixel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    rows, cols = rng.random((2, count, 1, 1)) * np.array([height, width]).reshape(2, 1, 1, 1)
    return np.argmin((y - rows) ** 2 + (x - cols) ** 2, axis=0)


def patchwork(height=72, width=80):
    """An image, and seven labels: irregular, disconnected, a single pixel, some negative."""
    labels = voronoi(height, width, 5) * 10 - 20
    labels[:6, :6] = 1000  # in two pieces
    labels[-9:, -20:] = 1000
    labels[30, 40] = 7
    return scene(height, width), labels


def written(text="Helicopter\n42 segments\nquick brown fox", size=14, shape=(64, 128)):
    """Dark letters on bright ground, as uint8."""
    page = Image.new("L", shape[::-1], 225)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(page).multiline_text((5, 4), text, fill=25, font=font, spacing=4)
    return np.array(page)


def tile_scene(kind, side=64):
    """An image of (side, side) of one type, as float32."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    if kind == "smooth":
        values = 0.3 + 0.4 * (x + 0.5 * y) / (1.5 * side)
    elif kind == "edge":
        values = 0.3 + 0.4 / (1 + np.exp(-(0.8 * x + 0.6 * y - 0.7 * side) / 0.7))
    elif kind == "texture":
        values = 0.5 + rng.normal(0, 0.1, (side, side))
    elif kind == "text":
        values = written("lorem ips\ndolor sit\namet con\nsectetur", 13, (side, side)) / 255
    else:  # a few marks on calm ground
        values = 0.5 + 0 * x
        for row, col in rng.integers(4, side - 8, (9, 2)):
            values[row : row + 5, col : col + 5] += rng.uniform(-0.3, 0.3)
    return np.clip(values, 0, 1).astype(np.float32)
