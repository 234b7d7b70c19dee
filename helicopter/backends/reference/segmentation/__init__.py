"""The best partition of an image into so many connected pieces.

Fine groups of pixels (`atoms`) are merged by Ward's criterion (`ward`), and their borders put right
pixel by pixel (`refine`). All sums are of integers, so that they do not depend on any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .atoms import make_atoms
from .features import features_of, half_of, variance
from .refine import refine
from .ward import merge

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from helicopter._shared.arrays import Labels
    from helicopter.backends.protocol import SegmentationOptions

    from .features import Features

__all__ = ["segment"]

#: A round of merging into atoms needs so many pixels to a segment: the first, and the second.
LEAST_AREAS = (8, 32)
#: Groups within a cell are joined if that costs less than this share of a segment's area times the
#: image's variance; what costs more is left for the end, and for whoever else lies around.
CAP = 0.005


def segment(pixels: NDArray[Any], options: SegmentationOptions) -> Labels:
    """Divide an image; see `helicopter.backends.protocol.Backend.segment`."""
    labels, _ = _divide(features_of(pixels), options, options.passes[0])
    return numbered_by_first_pixel(labels)


def _divide(
    features: Features, options: SegmentationOptions, passes: int
) -> tuple[NDArray[np.int64], float]:
    """Return the segments of an image and the variance they were weighed against.

    They are found at half the size if they are large enough there, and their borders put right at
    this one.
    """
    height, width = features.shape[:2]
    area = float(height * width) / float(options.count)
    halved = -(-height // 2) * -(-width // 2)
    if height * width > halved >= max(options.least_area, 1) * options.count:
        coarse, spread = _divide(half_of(features), options, options.passes[1])
        labels = coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    else:
        # an image without any variance is divided by place alone
        spread = max(variance(features), 1.0)
        spatial, cap = options.spatial * spread / area, CAP * spread * area
        labels = _partition(features, options.count, spatial, cap)
    spatial = options.spatial_borders * spread / area
    refined = refine(features, labels, options.count, passes, spatial, options.border * spread)
    return refined, spread


def _partition(features: Features, count: int, spatial: float, cap: float) -> NDArray[np.int64]:
    area = features.shape[0] * features.shape[1] // count
    rounds = sum(area >= least for least in LEAST_AREAS)
    atoms = make_atoms(features, rounds, spatial, cap)
    while len(atoms.count) < count:
        rounds -= 1  # without any, atoms are pixels, of which there are enough
        atoms = make_atoms(features, rounds, spatial, cap)
    roots = merge(atoms, count, spatial)
    return numbered_by_first_pixel(roots[atoms.labels]).astype(np.int64)


def numbered_by_first_pixel(labels: NDArray[np.int64]) -> Labels:
    """Number labels, whatever they are, from 0 on in the order of their first pixels."""
    _, first, own = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.int32)
    rank[np.argsort(first)] = np.arange(first.size, dtype=np.int32)
    return rank[own].reshape(labels.shape)
