"""What counts as good: the two definitions that every floor shares."""

from __future__ import annotations

__all__ = ["RIGHT", "quality_of"]

#: A prediction counts as right when it is off by at most this share of the range.
RIGHT = 0.05


def quality_of(mse: float) -> float:
    """Quality of a mean squared error on the [0, 1] scale: 1 / (1 + 10 MSE)."""
    return 1.0 / (1.0 + 10.0 * mse)
