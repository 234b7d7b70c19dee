"""The kinds of noise that Zengeza tells apart, added to images of 8 bits."""

import io

import numpy as np
from PIL import Image
from scenes import calm_scene

from helicopter.core import NOISE_KINDS


def with_noise(kind, levels, seed=0):
    """Levels 0..255 of any shape with noise of one kind that can be seen, as uint8."""
    rng = np.random.default_rng(seed)
    clean = np.asarray(levels, dtype=np.float64)
    noisy = clean
    if kind == "gaussian":
        noisy = clean + rng.normal(0, 12, clean.shape)
    elif kind == "uniform":
        noisy = clean + rng.uniform(-20, 20, clean.shape)
    elif kind == "poisson":
        noisy = rng.poisson(clean / 3) * 3.0
    elif kind == "speckle":
        noisy = clean * rng.normal(1, 0.15, clean.shape)
    elif kind in ("salt_pepper", "impulse"):
        hit = rng.random(clean.shape[:2]) < 0.05
        shape = (hit.sum(), *[1] * (clean.ndim - 2))
        values = (
            rng.integers(0, 2, shape) * 255
            if kind == "salt_pepper"
            else rng.integers(256, size=shape)
        )
        noisy = clean.copy()
        noisy[hit] = values
    elif kind == "periodic":
        y, x = np.mgrid[: clean.shape[0], : clean.shape[1]]
        wave = 10 * np.sin(0.9 * x + 0.4 * y) + 8 * np.cos(0.3 * x - 1.3 * y)
        noisy = clean + wave.reshape(*wave.shape, *[1] * (clean.ndim - 2))
    noisy = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return compressed(noisy) if kind == "compression" else noisy


def compressed(image, quality=25):
    """What JPEG leaves of it."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def noisy_scenes(height, width, channels=None, kinds=NOISE_KINDS):
    """A calm scene with each kind of noise: (kind, image)."""
    for seed, kind in enumerate(kinds):
        yield kind, with_noise(kind, calm_scene(height, width, channels), seed)


def prepared(image):
    """As backends take it: float32 in [0, 1] of three dimensions."""
    values = np.asarray(image, dtype=np.float32) / np.float32(255)
    return np.ascontiguousarray(values if values.ndim == 3 else values[:, :, None])


def same(one, other):
    """Whether two results are equal to the bit, but for the time they took."""
    first, second = (result.to_dict(arrays=True) for result in (one, other))
    return {**first, "seconds": 0} == {**second, "seconds": 0}
