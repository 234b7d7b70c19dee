"""For tests of Helicopter and of what is built on it.

`assert_parity` compares the results of two backends by the table in `helicopter.testing.tiers`,
`assert_noise_parity` what they hand over of the noise of an image.
`helicopter.testing.strategies` makes images and masks for Hypothesis, which it alone imports.
"""

from ._parity import assert_noise_parity, assert_parity
from .tiers import Tier, tiers_of

__all__ = ["Tier", "assert_noise_parity", "assert_parity", "tiers_of"]
