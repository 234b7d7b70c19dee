"""Textures drawn by a script, and defects put into them: scratches, stains, missing and foreign
pieces.

Textures are float64 (H, W) or (H, W, 3) in [0, 1]; what comes back is 8-bit (H, W, C).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from collections.abc import Callable

    from common import Photo

Field = NDArray[np.float64]
Shape = tuple[int, int]

DEFECTS = ("scratch", "stain", "missing", "foreign")
#: Contrast of a defect, as a share of the range; of a foreign piece, how much of it shows.
STRENGTHS: dict[str, dict[str, float]] = {
    "scratch": {"weak": 0.15, "middle": 0.3, "strong": 0.6},
    "stain": {"weak": 0.1, "middle": 0.2, "strong": 0.4},
    "missing": {"weak": 0.5, "middle": 0.75, "strong": 1.0},
    "foreign": {"weak": 0.5, "middle": 0.75, "strong": 1.0},
}


class Damaged(NamedTuple):
    """A texture with defects, and where these are."""

    image: Photo
    #: int32 (H, W): 0 where nothing was done, else the number of the defect.
    truth: NDArray[np.int32]


# -- textures ----------------------------------------------------------------------------------


def _mgrid(shape: Shape) -> tuple[Field, Field]:
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    return y, x


def _field(shape: Shape, sigma: tuple[float, float] | float, rng: np.random.Generator) -> Field:
    """Gaussian-filtered noise of mean 0 and standard deviation 1."""
    wide = [side + 64 for side in shape]
    values = gaussian_filter(rng.normal(size=wide), sigma)[32:-32, 32:-32]
    return np.asarray((values - values.mean()) / values.std())


def _warped(shape: Shape, amount: float, rng: np.random.Generator) -> tuple[Field, Field]:
    """Coordinates that are slightly off, as in anything that was made."""
    y, x = _mgrid(shape)
    return y + amount * _field(shape, 20, rng), x + amount * _field(shape, 20, rng)


def woven(shape: Shape, rng: np.random.Generator) -> Field:
    """Plain weave: threads over and under each other."""
    y, x = _warped(shape, 0.7, rng)
    period = rng.uniform(7, 12)
    row, column = np.floor(y / period), np.floor(x / period)
    v, u = y / period - row - 0.5, x / period - column - 0.5
    over = (row + column) % 2 == 0
    height = np.where(over, np.cos(math.pi * v), np.cos(math.pi * u))
    along = np.where(over, np.cos(math.pi * u), np.cos(math.pi * v))
    shade = np.where(over, 0.55, 0.45)
    return np.asarray(shade * (0.5 + 0.5 * height) * (0.7 + 0.3 * along) + 0.25)


def twill(shape: Shape, rng: np.random.Generator) -> Field:
    """Fabric with a diagonal rib and uneven yarn."""
    y, x = _warped(shape, 0.6, rng)
    period = rng.uniform(6, 10)
    rib = np.cos(2 * math.pi * (x + y) / period) * 0.5 + 0.5
    yarn = np.cos(2 * math.pi * x / (period / 2)) * 0.5 + 0.5
    return np.asarray(0.3 + 0.3 * rib + 0.12 * yarn * rib + 0.02 * _field(shape, (6, 0.7), rng))


def wood(shape: Shape, rng: np.random.Generator) -> Field:
    """Rings cut lengthwise, with pores."""
    y, x = _mgrid(shape)
    period = rng.uniform(14, 24)
    rings = x + 10 * _field(shape, (40, 12), rng) + 0.02 * y
    band = (rings / period) % 1.0
    pores = np.maximum(_field(shape, (8, 0.6), rng) - 1.6, 0)
    return np.asarray(0.62 - 0.25 * band**2 + 0.03 * _field(shape, (12, 0.8), rng) - 0.08 * pores)


def grains(shape: Shape, rng: np.random.Generator) -> Field:
    """Gaussian-filtered noise, as sand or plaster."""
    sigma = rng.uniform(0.9, 2.5)
    return np.asarray(0.5 + 0.11 * _field(shape, sigma, rng))


def clouds(shape: Shape, rng: np.random.Generator) -> Field:
    """Noise of several scales."""
    parts = [_field(shape, sigma, rng) * sigma**0.5 for sigma in (1, 2, 4, 8)]
    return np.asarray(0.5 + 0.04 * sum(parts))


def bricks(shape: Shape, rng: np.random.Generator) -> Field:
    """A wall: bricks of various shades in mortar."""
    y, x = _warped(shape, 1.0, rng)
    tall, long, joint = rng.uniform(14, 20), rng.uniform(34, 48), 2.2
    row = np.floor(y / tall)
    shifted = x + 0.5 * long * (row % 2)
    column = np.floor(shifted / long)
    shade = rng.uniform(-0.08, 0.08, (64, 64))
    of_brick = shade[row.astype(int) % 64, column.astype(int) % 64]
    edge = np.minimum.reduce(
        [y - row * tall, (row + 1) * tall - y, shifted - column * long,
         (column + 1) * long - shifted]
    )  # fmt: skip
    face = np.clip(edge / joint - 0.5, 0, 1)
    return np.asarray(
        0.72 * (1 - face) + face * (0.42 + of_brick) + 0.035 * _field(shape, 1.0, rng)
    )


def tiles(shape: Shape, rng: np.random.Generator) -> Field:
    """A square grid of dark lines on a light ground."""
    y, x = _warped(shape, 0.5, rng)
    period = rng.uniform(16, 28)
    lines = [np.abs((c / period) % 1.0 - 0.5) * period for c in (y, x)]
    line = np.exp(-0.5 * (np.minimum(*lines) / 1.3) ** 2)
    return np.asarray(0.7 - 0.4 * line + 0.02 * _field(shape, 1.0, rng))


def brushed(shape: Shape, rng: np.random.Generator) -> Field:
    """Metal brushed along its rows."""
    fine = _field(shape, (0.5, 30), rng)
    coarse = _field(shape, (2, 60), rng)
    return np.asarray(0.55 + 0.06 * fine + 0.04 * coarse + 0.01 * _field(shape, 0.5, rng))


def cells(shape: Shape, rng: np.random.Generator) -> Field:
    """Leather-like: cells with dark rims."""
    count = int(shape[0] * shape[1] / rng.uniform(90, 220))
    points = rng.uniform((-16, -16), (shape[0] + 16, shape[1] + 16), (count, 2))
    y, x = _mgrid(shape)
    near, _ = cKDTree(points).query(np.stack([y, x], axis=-1), k=2)
    rim = np.clip((near[..., 1] - near[..., 0]) / 5.0, 0, 1)
    return np.asarray(0.3 + 0.3 * np.sqrt(rim) + 0.02 * _field(shape, 1.0, rng))


def knit(shape: Shape, rng: np.random.Generator) -> Field:
    """Knitwear: columns of V-shaped stitches."""
    y, x = _warped(shape, 0.8, rng)
    wide, tall = rng.uniform(10, 15), rng.uniform(8, 12)
    u = (x / wide) % 1.0 - 0.5
    v = (y / tall + 0.9 * np.abs(u)) % 1.0
    stitch = np.sin(math.pi * v) ** 0.7 * np.cos(math.pi * u) ** 0.5
    return np.asarray(0.25 + 0.45 * stitch + 0.025 * _field(shape, 0.8, rng))


TEXTURES: dict[str, Callable[[Shape, np.random.Generator], Field]] = {
    maker.__name__: maker
    for maker in (woven, wood, grains, bricks, brushed, twill, clouds, tiles, cells, knit)
}
#: On these, with seeds of their own, what had to be chosen was chosen; the tables are about all.
CHOOSING = ("woven", "wood", "grains", "bricks", "brushed")


def texture(name: str, shape: Shape, seed: int, *, colour: bool = False) -> Field:
    """Draw a texture, lit unevenly as everything is, with a little noise of the sensor."""
    rng = np.random.default_rng([seed, sorted(TEXTURES).index(name)])
    values = TEXTURES[name](shape, rng)
    light = 1.0 + 0.05 * _field(shape, 60, rng)
    values = values * light
    if colour:
        tint = np.array([1.0, rng.uniform(0.75, 1.0), rng.uniform(0.55, 0.95)])
        values = values[:, :, None] * tint + 0.01 * rng.normal(size=(*shape, 1))
        return np.asarray(values + rng.normal(0, 0.008, values.shape))
    return np.asarray(values + rng.normal(0, 0.008, values.shape))


def to_bytes(values: Field) -> Photo:
    """Round to 8 bits, with an axis for the channels."""
    levels = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
    return levels if levels.ndim == 3 else levels[:, :, None]


# -- defects -----------------------------------------------------------------------------------


def _scratch(shape: Shape, rng: np.random.Generator) -> Field:
    """How much of each pixel a thin, slightly bent line covers."""
    y, x = _mgrid(shape)
    length, angle = rng.uniform(30, 70), rng.uniform(0, math.pi)
    bend, wide = rng.uniform(-0.004, 0.004), rng.uniform(0.6, 1.2)
    centre = [rng.uniform(0.2, 0.8) * side for side in shape]
    along = (y - centre[0]) * math.sin(angle) + (x - centre[1]) * math.cos(angle)
    across = (y - centre[0]) * math.cos(angle) - (x - centre[1]) * math.sin(angle)
    across = across - bend * along**2
    cover = np.exp(-0.5 * (across / wide) ** 2)
    cover[np.abs(along) > length / 2] = 0
    return np.asarray(cover)


def _blob(shape: Shape, size: float, rng: np.random.Generator, soft: float) -> Field:
    """A roundish spot with an uneven outline, of cover 0 to 1."""
    y, x = _mgrid(shape)
    centre = [rng.uniform(0.15, 0.85) * side for side in shape]
    angle = np.arctan2(y - centre[0], x - centre[1])
    waves = zip((2, 3, 5), rng.uniform(0, 2 * math.pi, 3), strict=True)
    radius = size * (1 + 0.18 * sum(np.cos(k * angle + phase) / k for k, phase in waves))
    distance = np.hypot(y - centre[0], x - centre[1])
    return np.asarray(np.clip((radius - distance) / soft + 0.5, 0, 1))


def damage(
    values: Field,
    kinds: list[str],
    strength: str,
    rng: np.random.Generator,
    other: Field | None = None,
) -> Damaged:
    """Put one defect of each of `kinds` into a texture, apart from each other.

    Parameters
    ----------
    values : float64 ndarray of shape (H, W) or (H, W, 3)
    kinds : list of str
        Out of `DEFECTS`; one may stand there more than once.
    strength : str
        ``"weak"``, ``"middle"`` or ``"strong"``.
    rng : numpy.random.Generator
    other : float64 ndarray, optional
        Another texture, of which foreign pieces are cut; by default the same, turned by 90
        degrees.
    """
    shape = (values.shape[0], values.shape[1])
    out, truth = values.copy(), np.zeros(shape, np.int32)
    foreign = np.rot90(values) if other is None else other
    for number, kind in enumerate(kinds, start=1):
        contrast = STRENGTHS[kind][strength]
        for _ in range(100):  # until there is room
            if kind == "scratch":
                cover = _scratch(shape, rng)
            else:
                size = rng.uniform(6, 14)
                cover = _blob(shape, size, rng, soft=4.0 if kind == "stain" else 1.5)
            touched = gaussian_filter((truth > 0).astype(float), 6) > 0.01
            if not (touched & (cover > 0.1)).any():
                break
        part = cover[:, :, None] if out.ndim == 3 else cover
        if kind == "scratch":
            aim = out + contrast * rng.choice([-1.0, 1.0])
        elif kind == "stain":
            aim = out - contrast
        elif kind == "missing":  # what lies beneath is even
            ground = out.mean(axis=(0, 1)) - 0.1
            aim = out + contrast * (ground - out)
        else:
            aim = out + contrast * (foreign - out)
        out = out + part * (aim - out)
        truth[cover > 0.3] = number
    return Damaged(to_bytes(out), truth)
