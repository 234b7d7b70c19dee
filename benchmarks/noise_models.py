"""Nine kinds of noise with their ranges of strength, noise that varies, and coloured noise.

Photographs are 8-bit (H, W, C); so is what comes back, cut to 0..255 and rounded.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import convolve, gaussian_filter

if TYPE_CHECKING:
    from collections.abc import Callable

    from common import Photo

Field = NDArray[np.float64]

KINDS = (
    "clean",
    "gaussian",
    "poisson",
    "speckle",
    "uniform",
    "salt_pepper",
    "impulse",
    "periodic",
    "compression",
)
#: What a strength is, and from where to where: its logarithm is drawn evenly.
RANGES: dict[str, tuple[float, float]] = {
    "gaussian": (3, 50),  # standard deviation, grey levels
    "poisson": (10, 1000),  # photons in white
    "speckle": (0.04, 0.5),  # standard deviation of the factor
    "uniform": (3, 50),  # standard deviation, grey levels
    "salt_pepper": (0.005, 0.3),  # share of pixels
    "impulse": (0.005, 0.3),
    "periodic": (3, 40),  # amplitude of one wave of the same power, grey levels
    "compression": (5, 80),  # JPEG quality: whole numbers, drawn evenly
}
PERIODS = (2.2, 40.0)  # pixels


class Noisy(NamedTuple):
    """A noisy photograph and what `parameters` of its analysis should say."""

    image: Photo
    truth: dict[str, Any]


def draw_strength(kind: str, rng: np.random.Generator, middle: float = 1.0) -> float:
    """Draw a strength from the range, or from the share `middle` in the middle of it."""
    if kind == "clean":
        return 0.0
    low, high = RANGES[kind]
    rim = (1 - middle) / 2
    if kind == "compression":
        cut = round(rim * (high - low))
        return float(rng.integers(int(low) + cut, int(high) - cut + 1))
    cut = rim * math.log(high / low)
    return float(np.exp(rng.uniform(math.log(low) + cut, math.log(high) - cut)))


def corrupt(photo: Photo, kind: str, strength: float, rng: np.random.Generator) -> Noisy:
    """Add noise of one kind."""
    if kind == "clean":
        return Noisy(photo.copy(), {})
    if kind == "compression":
        return Noisy(_jpeg(photo, int(strength)), {"quality": int(strength)})
    values, truth = _ADD[kind](photo.astype(np.float64), strength, rng)
    return Noisy(to_bytes(values), truth)


def to_bytes(values: Field) -> Photo:
    """Round and cut to 8 bits."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


# -- the kinds ---------------------------------------------------------------------------------

Added = tuple[Field, dict[str, Any]]


def _gaussian(x: Field, strength: float, rng: np.random.Generator) -> Added:
    return x + strength * rng.standard_normal(x.shape), {"sigma": strength}


def _uniform(x: Field, strength: float, rng: np.random.Generator) -> Added:
    return x + strength * math.sqrt(3) * rng.uniform(-1, 1, x.shape), {"sigma": strength}


def _speckle(x: Field, strength: float, rng: np.random.Generator) -> Added:
    return x * (1 + strength * rng.standard_normal(x.shape)), {"strength": strength}


def _poisson(x: Field, strength: float, rng: np.random.Generator) -> Added:
    return rng.poisson(x / 255 * strength) / strength * 255, {"gain": 255 / strength}


def _replaced(x: Field, hit: NDArray[np.bool_], value: Field) -> Field:
    """A hit replaces the whole pixel."""
    return np.where(hit[:, :, None], value[:, :, None], x)


def _salt_pepper(x: Field, strength: float, rng: np.random.Generator) -> Added:
    hit = rng.random(x.shape[:2]) < strength
    return _replaced(x, hit, 255.0 * (rng.random(hit.shape) < 0.5)), {"density": strength}


def _impulse(x: Field, strength: float, rng: np.random.Generator) -> Added:
    hit = rng.random(x.shape[:2]) < strength
    return _replaced(x, hit, np.floor(rng.uniform(0, 256, hit.shape))), {"density": strength}


def _periodic(x: Field, strength: float, rng: np.random.Generator) -> Added:
    """One to three waves of equal amplitude, the same in all channels."""
    down, across = np.mgrid[: x.shape[0], : x.shape[1]]
    number = int(rng.integers(1, 4))
    amplitude = strength / math.sqrt(number)
    waves, components = np.zeros(x.shape[:2]), []
    for _ in range(number):
        period = np.exp(rng.uniform(*np.log(PERIODS)))
        angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        fy, fx = math.sin(angle) / period, math.cos(angle) / period
        waves += np.sin(2 * np.pi * (fx * across + fy * down) + phase)
        components.append({"frequency": (fy, fx), "amplitude": amplitude})
    truth = {"amplitude": strength, "components": components}
    return x + amplitude * waves[:, :, None], truth


def _jpeg(photo: Photo, quality: int) -> Photo:
    stream = io.BytesIO()
    Image.fromarray(photo.squeeze()).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream)).reshape(photo.shape)


_ADD: dict[str, Callable[[Field, float, np.random.Generator], Added]] = {
    "gaussian": _gaussian,
    "poisson": _poisson,
    "speckle": _speckle,
    "uniform": _uniform,
    "salt_pepper": _salt_pepper,
    "impulse": _impulse,
    "periodic": _periodic,
}

# -- noise that varies over the image ----------------------------------------------------------


def _ramp(height: int, width: int) -> Field:
    """From 3 to 25 levels, left to right."""
    return np.broadcast_to(np.linspace(3, 25, width), (height, width))


def _patch(height: int, width: int) -> Field:
    """5 levels, and 20 in a rectangle."""
    sigma = np.full((height, width), 5.0)
    sigma[height // 4 : height * 5 // 8, width // 3 : width * 3 // 4] = 20
    return sigma


def _vignetting(height: int, width: int) -> Field:
    """4 levels in the middle, 16 in the corners: a lens that loses light, corrected."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return 4 + 6 * (x**2 + y**2)


#: The standard deviation at every pixel, by name.
VARYING: dict[str, Callable[[int, int], Field]] = {
    "ramp": _ramp,
    "patch": _patch,
    "vignetting": _vignetting,
}

# -- coloured noise ----------------------------------------------------------------------------


def _white(shape: tuple[int, int, int], rng: np.random.Generator) -> Field:
    return rng.standard_normal(shape)


def _blurred(width: float) -> Callable[[tuple[int, int, int], np.random.Generator], Field]:
    def field(shape: tuple[int, int, int], rng: np.random.Generator) -> Field:
        return gaussian_filter(rng.standard_normal(shape), (width, width, 0), mode="wrap")

    return field


def _demosaicked(shape: tuple[int, int, int], rng: np.random.Generator) -> Field:
    """White noise on a Bayer mosaic (RGGB), interpolated linearly; of grey, the luma of that."""
    mosaic = rng.standard_normal(shape[:2])
    own = np.zeros((*shape[:2], 3))  # 1 where a channel was measured
    own[::2, ::2, 0] = own[::2, 1::2, 1] = own[1::2, ::2, 1] = own[1::2, 1::2, 2] = 1
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    square = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    planes = [
        convolve(mosaic * own[:, :, c], kernel, mode="mirror")
        for c, kernel in enumerate((square, cross, square))
    ]
    colour = np.stack(planes, axis=2)
    return colour if shape[2] == 3 else colour @ np.array([[0.299], [0.587], [0.114]])


_FIELDS: dict[str, Callable[[tuple[int, int, int], np.random.Generator], Field]] = {
    "white": _white,
    "low-pass 0.7 px": _blurred(0.7),
    "low-pass 1.5 px": _blurred(1.5),
    "demosaicked": _demosaicked,
}
COLOURS = tuple(_FIELDS)


def coloured_field(
    colour: str, shape: tuple[int, int, int], sigma: float, rng: np.random.Generator
) -> Field:
    """Return a field of noise of a colour with a standard deviation."""
    field = _FIELDS[colour](shape, rng)
    return field * (sigma / field.std())


def block_deviation(field: Field, side: int) -> float:
    """Return the standard deviation of a field averaged over blocks, all channels together."""
    height, width = (length // side * side for length in field.shape[:2])
    cut = field[:height, :width].reshape(height // side, side, width // side, side, -1)
    means = cut.mean(axis=(1, 3))
    return float(np.sqrt(means.var(axis=(0, 1)).mean()))
