"""Small photographs to train on."""

import numpy as np
from scipy.ndimage import gaussian_filter


def photograph(seed=0, height=200, width=240):
    """Blurred noise in three bands: has edges, is never flat."""
    rng = np.random.default_rng(seed)
    image = sum(
        gaussian_filter(rng.standard_normal((height, width, 3)), (s, s, 0)) * s for s in (1, 4, 16)
    )
    image = (image - image.min()) / np.ptp(image)
    return (image * 255).astype(np.uint8)
