"""How long and how fast a network learns unless told otherwise; imports nothing, for ``--help``."""

from __future__ import annotations

__all__ = ["FINE_TUNING_RATE", "FINE_TUNING_STEPS", "LEARNING_RATE", "STEPS"]

#: Steps and learning rate from the start, and from weights that have learnt already.
STEPS, FINE_TUNING_STEPS = 32_000, 2_000
LEARNING_RATE, FINE_TUNING_RATE = 7e-4, 3e-4
