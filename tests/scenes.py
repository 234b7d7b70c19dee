"""Images and masks that the tests share: small, with edges, texture and noise."""

import numpy as np

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
