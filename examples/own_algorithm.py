"""Register an algorithm of your own and compare it with the built-in ones."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from helicopter.core import CustomReconstructionKernel, RegionalReconstructionEngine
from helicopter.io import sample_image


def nearest(context, mask):
    """Copy the nearest visible pixel."""
    _, (rows, cols) = distance_transform_edt(mask, return_indices=True)
    return context[rows, cols]


CustomReconstructionKernel("nearest neighbour").register_algorithm("nearest", nearest)

image = np.ascontiguousarray(sample_image()[:256, :256])
for algorithm in ("nearest", "harmonic", "biharmonic"):
    engine = RegionalReconstructionEngine(algorithm)
    test = engine.test_understanding(image, ["random_patches", "checkerboard"], [0.25, 0.5])
    print(f"{algorithm:<11} skill {test.skill:.3f}  quality {test.reconstruction_quality:.3f}")
