"""Pictures that photographs lack: stripes, grain, spots, counts, strokes; each with its own look.

So that what is regular continues, and what is as in microscopes, scanners and print is known.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["add_noise", "synthetic_crop"]


def synthetic_crop(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """Return a picture (side, side, 3) in [0, 1]."""
    field = _FAMILIES[int(rng.integers(len(_FAMILIES)))](rng, side)
    if rng.random() < 0.3:
        other = _FAMILIES[int(rng.integers(len(_FAMILIES)))](rng, side)
        field = np.where(_regions(rng, side), field, other)
    if rng.random() < 0.3:
        field = field + rng.uniform(0.2, 2) * _grain(rng, side, side * rng.uniform(0.1, 0.3))
    low, high = field.min(), field.max()
    field = (field - low) / max(float(high - low), 1e-6)
    contrast = rng.uniform(0.2, 1.0)
    field = field * contrast + rng.uniform(0, 1 - contrast)
    if rng.random() < 0.6:
        picture = np.repeat(field[:, :, None], 3, axis=2)
    else:
        first, second = rng.random((2, 3))
        picture = first + (second - first) * field[:, :, None]
    return np.asarray(np.clip(picture, 0, 1), dtype=np.float32)


def add_noise(rng: np.random.Generator, crop: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add Gaussian noise, the same in all channels of a grey picture, or noise as of counts."""
    grey = bool((crop == crop[:, :, :1]).all())
    shape = crop.shape[:2] + ((1,) if grey else (3,))
    strength = math.exp(rng.uniform(math.log(0.003), math.log(0.08)))
    noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(strength)
    if rng.random() < 0.4:
        noise = noise * np.sqrt(crop)
    return np.clip(crop + noise, np.float32(0), np.float32(1))


def _coordinates(rng: np.random.Generator, side: int) -> tuple[NDArray[np.float64], ...]:
    """Position along and across a random direction."""
    y, x = np.mgrid[:side, :side].astype(np.float64)
    angle = rng.uniform(0, math.pi)
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def _period(rng: np.random.Generator) -> float:
    return math.exp(rng.uniform(math.log(2.5), math.log(16)))


def _grating(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    along, _ = _coordinates(rng, side)
    phase = 2 * math.pi * (along / _period(rng) + rng.random())
    if rng.random() < 0.25:  # bent
        phase = phase + rng.uniform(0.5, 4) * _grain(rng, side, rng.uniform(6, 24))
    wave = np.sin(phase)
    if rng.random() < 0.25:  # nearly square
        wave = np.tanh(rng.uniform(1, 6) * wave)
    return np.asarray(wave)


def _weave(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Two or three gratings, added or multiplied."""
    waves = [_grating(rng, side) for _ in range(int(rng.integers(2, 4)))]
    return np.prod(waves, axis=0) if rng.random() < 0.3 else np.sum(waves, axis=0)


def _grain(rng: np.random.Generator, side: int, scale: float) -> NDArray[np.float64]:
    """Smoothed noise of standard deviation 1."""
    field = ndimage.gaussian_filter(rng.standard_normal((side, side)), scale, mode="wrap")
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-9))


def _gabor_noise(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Noise of one direction and about one period (Lagae et al., SIGGRAPH 2009)."""
    frequency = np.fft.fftfreq(side)
    v, u = np.meshgrid(frequency, frequency, indexing="ij")
    angle, centre = rng.uniform(0, math.pi), 1 / _period(rng)
    width = centre * rng.uniform(0.05, 0.5)
    distance = np.square(u - centre * math.cos(angle)) + np.square(v - centre * math.sin(angle))
    spectrum = np.exp(-distance / (2 * width * width)) + 1e-9
    noise = np.fft.fft2(rng.standard_normal((side, side)))
    return np.asarray(np.fft.ifft2(noise * spectrum).real)


def _clouds(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Noise whose power falls with a power of the frequency, as in tissue and terrain."""
    frequency = np.fft.fftfreq(side)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    radius[0, 0] = 1 / side
    noise = np.fft.fft2(rng.standard_normal((side, side)))
    return np.asarray(np.fft.ifft2(noise / radius ** rng.uniform(0.8, 2.2)).real)


def _spots(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Blurred spots anywhere, on a plain ground; sometimes filled discs."""
    share = math.exp(rng.uniform(math.log(2e-4), math.log(0.05)))
    points = np.where(rng.random((side, side)) < share, rng.exponential(1.0, (side, side)), 0.0)
    points[int(rng.integers(side)), int(rng.integers(side))] = 1.0
    field = ndimage.gaussian_filter(points, math.exp(rng.uniform(math.log(0.7), math.log(6))))
    if rng.random() < 0.3:
        field = np.tanh(rng.uniform(2, 20) * field / max(float(field.max()), 1e-12))
    return np.asarray(field)


def _strokes(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Lines of letters-like strokes, at twice the size and made smaller, so that edges are soft."""
    canvas = Image.new("L", (2 * side, 2 * side))
    draw = ImageDraw.Draw(canvas)
    height = rng.uniform(10, 44)
    pen = max(1, round(height * rng.uniform(0.06, 0.22)))
    y = rng.uniform(-height, 0)
    while y < 2 * side:
        x = rng.uniform(-height, height)
        while x < 2 * side:
            width = height * rng.uniform(0.3, 0.8)
            for _ in range(int(rng.integers(1, 5))):
                grid = rng.integers(0, 3, 4) / 2
                ends = [x + width * grid[0], y + height * grid[1]]
                ends += [x + width * grid[2], y + height * grid[3]]
                if rng.random() < 0.3:
                    box = (min(ends[0::2]), min(ends[1::2]), max(ends[0::2]), max(ends[1::2]))
                    start = int(rng.integers(0, 360))
                    draw.arc(box, start, start + int(rng.integers(90, 360)), fill=255, width=pen)
                else:
                    draw.line(ends, fill=255, width=pen)
            x += width * rng.uniform(1.1, 1.6)
            if rng.random() < 0.15:
                x += width
        y += height * rng.uniform(1.2, 1.9)
    if rng.random() < 0.3:
        canvas = canvas.rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR)
    return np.asarray(canvas.resize((side, side), Image.Resampling.BOX), dtype=np.float64)


def _counts(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Shot noise: few counts a pixel, of spots or clouds."""
    field = _spots(rng, side) if rng.random() < 0.5 else _clouds(rng, side)
    field = (field - field.min()) / max(float(np.ptp(field)), 1e-9)
    most = math.exp(rng.uniform(math.log(4), math.log(400)))
    return np.asarray(rng.poisson(most * (field + 0.02)), dtype=np.float64)


def _pieces(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Flat or ramped cells with straight borders (a Voronoi diagram), as of grains and maps."""
    count = int(rng.integers(3, 60))
    centres = rng.uniform(0, side, (count, 2))
    y, x = np.mgrid[:side, :side]
    squared = np.square(y[..., None] - centres[:, 0]) + np.square(x[..., None] - centres[:, 1])
    field = rng.random(count)[squared.argmin(-1)]
    return np.asarray(ndimage.gaussian_filter(field, rng.uniform(0.3, 1.2)))


def _regions(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    return _grain(rng, side, side * rng.uniform(0.05, 0.2)) > rng.normal(0, 0.5)


_FAMILIES: tuple[Callable[[np.random.Generator, int], NDArray[np.float64]], ...] = (
    *(_grating, _grating, _weave, _gabor_noise),
    *(_clouds, _spots, _strokes, _counts, _pieces),
)
