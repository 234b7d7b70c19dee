"""Regional reconstruction: fill any mask in any image, and say how sure each pixel is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter.backends.reference.algorithms import network, pde

from .uncertainty import hidden_variance

if TYPE_CHECKING:
    from helicopter._shared.arrays import Image, Map, Mask
    from helicopter.backends.protocol import BuiltIn
    from helicopter.models import UncertaintyModel

__all__ = ["fill", "reconstruct"]


def reconstruct(context: Image, mask: Mask, algorithm: BuiltIn, model: UncertaintyModel) -> Map:
    """Fill the hidden pixels of `context` in place and return the variance of their errors."""
    variance = fill(context, mask, algorithm)
    # looks at visible pixels only, so it may as well come after the fill
    return hidden_variance(context, mask, model) if variance is None else variance


def fill(context: Image, mask: Mask, algorithm: BuiltIn) -> Map | None:
    """Fill the hidden pixels in place; return their variance where the algorithm states it."""
    if isinstance(algorithm, str):
        pde.solve(context, mask, algorithm)
        return None
    pde.solve(context, mask, "harmonic")
    return np.square(network.predict(context, mask, algorithm))
