"""Regional reconstruction: fill any mask in any image, and say how sure each pixel is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import pde
from .uncertainty import hidden_variance

if TYPE_CHECKING:
    from helicopter.backends.protocol import Image, Map, Mask, PdeKind, UncertaintyModel

__all__ = ["reconstruct"]


def reconstruct(context: Image, mask: Mask, kind: PdeKind, model: UncertaintyModel) -> Map:
    """Fill the hidden pixels of `context` in place and return the variance of their errors."""
    pde.solve(context, mask, kind)
    # looks at visible pixels only, so it may as well come after the fill
    return hidden_variance(context, mask, model)
