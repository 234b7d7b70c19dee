"""Images and masks that the tests share: small, with edges, texture and noise."""

from types import ModuleType

import numpy as np

from helicopter.core.results._noise import (
    NOISE_KINDS,
    NoiseAnalysis,
    NoiseLevelFunction,
    NoiseScale,
    SegmentNoise,
)
from helicopter.io import sample_image

EQUATIONS = ("harmonic", "biharmonic")
BUILT_IN = ("network", *EQUATIONS)
CONCRETE = (
    "random",
    "edge_guided",
    "content_aware",
    "uncertainty_guided",
    "progressive_refinement",
)


def scene(height=48, width=56, channels=3, dtype="float32", seed=0):
    """An image of shape (H, W, channels), or (H, W) if `channels` is None."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    plane = 0.5 + 0.2 * np.sin(y / 7 + seed) + 0.15 * np.cos(x / 5) + 0.1 * (x + y > 60)
    values = plane[:, :, None] * np.array([1.0, 0.9, 0.7, 0.8])[: channels or 1]
    values = np.clip(values + rng.normal(0, 0.02, values.shape), 0.0, 1.0)
    return in_dtype(values[:, :, 0] if channels is None else values, dtype)


def in_dtype(values, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return values >= 0.5
    if dtype.kind == "u":
        return np.rint(values * np.iinfo(dtype).max).astype(dtype)
    return values.astype(dtype)


def holes(height=48, width=56, seed=0):
    """A block, a line, single pixels and a corner."""
    mask = np.random.default_rng(seed).random((height, width)) < 0.05
    mask[height // 4 : height // 2, width // 4 : width // 2] = True
    mask[height - height // 4] = True
    mask[: height // 8, : width // 8] = True
    mask[-1, -1] = False
    return mask


def photograph(height=96, width=128, top=120, left=200):
    """A part of the sample photograph."""
    return np.ascontiguousarray(sample_image()[top : top + height, left : left + width])


def mean_colour(context, mask):
    """The simplest kernel: a flat prediction, no uncertainty."""
    return np.broadcast_to(context[~mask].mean(axis=0), context.shape)


def unsure(context, mask):
    """A kernel that states its uncertainty, another one for every pixel."""
    rows, cols = np.mgrid[: mask.shape[0], : mask.shape[1]]
    sigma = 0.02 + 0.1 * ((7 * rows + 3 * cols) % 11) / 11
    return mean_colour(context, mask), sigma


def calm_scene(height=192, width=192, channels=None):
    """Grey levels from 60 to 210 as float64, smooth but for one edge: all its noise is added."""
    y, x = np.mgrid[:height, :width]
    plane = 120 + 60 * np.sin(y / 41) * np.cos(x / 37) + 30 * (x > 0.6 * width)
    if channels is None:
        return plane
    return plane[:, :, None] * np.array([1.0, 0.9, 0.8, 1.0])[:channels]


def noisy_scene(height=192, width=192, channels=None, sigma=10.0, seed=0):
    """`calm_scene` with Gaussian noise, as uint8."""
    clean = calm_scene(height, width, channels)
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)


def noise_by_hand(shape=(70, 90), dtype="uint8", **changes):
    """What an engine might say of an image with Gaussian noise and interference."""
    span = float(np.iinfo(dtype).max) if np.dtype(dtype).kind == "u" else 1.0
    chances = dict.fromkeys(NOISE_KINDS, 0.01) | {"gaussian": 0.98, "periodic": 0.9}
    sigma = 0.04 * span
    wave = {
        "frequency": (0.0, 0.125), "period": 8.0, "amplitude": 0.05 * span, "phase": 0.5,
    }  # fmt: skip
    parameters = {
        "clean": {}, "gaussian": {"sigma": sigma}, "poisson": {"gain": 0.003 * span},
        "speckle": {"strength": 0.08}, "uniform": {"sigma": sigma},
        "salt_pepper": {"density": 0.0}, "impulse": {"density": 0.001},
        "periodic": {"amplitude": 0.05 * span, "components": [wave]},
        "compression": {"quality": None, "grid": (0, 0)},
    }  # fmt: skip
    intensity = np.linspace(0.1, 0.9, 7) * span
    segment = SegmentNoise(
        label=3, bounding_box=(0, 0, 35, 45), area=1575, sigma=sigma, total_sigma=1.3 * sigma,
        snr_db=11.0, level="moderate", kind="gaussian", kinds=("gaussian", "periodic"),
        kind_probabilities=chances, parameters=parameters, priority=0.7, action="notch_filter",
    )  # fmt: skip
    spectrum = np.random.default_rng(0).normal(0, 0.3, (64, 64)).astype(np.float32)
    spectrum[32, 24] = spectrum[32, 40] = 3
    fields = {
        "sigma": sigma,
        "sigma_interval": (0.95 * sigma, 1.06 * sigma),
        "sigma_per_channel": (sigma, sigma, sigma),
        "total_sigma": 1.3 * sigma,
        "snr_db": 12.3,
        "level": "moderate",
        "kind": "gaussian",
        "kinds": ("gaussian", "periodic"),
        "kind_probabilities": chances,
        "parameters": parameters,
        "noise_level_function": NoiseLevelFunction(
            intensity, np.full(7, sigma), np.full(7, 1 / 7), 0.0, sigma**2, 0.0
        ),
        "noise_colour": "white",
        "scales": tuple(NoiseScale(s, sigma / s, (sigma / s) ** 2, 12.0 + s) for s in (1, 2, 4, 8)),
        "sigma_map": np.linspace(0.5, 1.5, shape[1], dtype=np.float32)[None].repeat(shape[0], 0)
        * np.float32(sigma),
        "spectrum": spectrum,
        "segments": (segment,),
        "data_range": (0.0, span),
        "dtype": dtype,
        "backend": "python",
        "device": "cpu",
        "seconds": 0.02,
    }
    return NoiseAnalysis(**{**fields, **changes})


def cloth(height=128, width=128, channels=None, seed=0):
    """A weave of grey levels around 128 as float64, with a little noise: nothing is wrong in it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    plane = 128 + 25 * np.sin(2 * np.pi * x / 7.3) * np.sin(2 * np.pi * y / 9.1)
    values = plane if channels is None else plane[:, :, None] * [1.0, 0.9, 0.8, 1.0][:channels]
    return values + rng.normal(0, 4, values.shape)


def spoilt_cloth(height=128, width=128, channels=None, seed=0):
    """`cloth` as uint8 with a stain in its middle, and where that is."""
    values = cloth(height, width, channels, seed)
    y, x = np.mgrid[:height, :width]
    stain = np.hypot(y - height / 2, x - width / 2) < 7
    values[stain] -= 60
    return np.clip(np.rint(values), 0, 255).astype(np.uint8), stain


def functions_of(engine):
    """Where an engine finds its backend's functions: the place to replace one for a test."""
    backend = engine._backend
    return backend if isinstance(backend, ModuleType) else type(backend)
