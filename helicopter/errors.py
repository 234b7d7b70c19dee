"""Every exception that Helicopter raises on purpose.

All derive from `HelicopterError`, so ``except HelicopterError`` catches whatever this library
complains about and nothing else. Each text says what was given, what is accepted and what to do.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ConvergenceError",
    "DeviceError",
    "HelicopterError",
    "InternalError",
    "InvalidImageError",
    "InvalidMaskError",
    "InvalidModelError",
    "InvalidOptionError",
    "KernelError",
    "ModelError",
    "RustAccelerationError",
]


class HelicopterError(Exception):
    """Root of all exceptions of this library."""


class InvalidImageError(HelicopterError, ValueError):
    """The image (its kind, shape, dtype or values) cannot be used."""


class InvalidMaskError(HelicopterError, ValueError):
    """The mask (its kind, shape, dtype or content) cannot be used."""


class InvalidOptionError(HelicopterError, ValueError):
    """An option is of the wrong type, out of range or unknown."""


class InvalidModelError(HelicopterError, ValueError):
    """A decision model (its shape, probabilities, rewards or discount) cannot be used."""


class ConvergenceError(HelicopterError, RuntimeError):
    """A solver came to its limits before the bounds were as narrow as was asked for.

    Attributes
    ----------
    solution : MDPSolution
        The narrowest bounds that were reached. They hold; they are only too far apart.
    """

    def __init__(self, message: str, solution: Any = None) -> None:
        super().__init__(message)
        self.solution = solution


class KernelError(HelicopterError, ValueError):
    """A user-registered algorithm returned something that is not a prediction."""


class RustAccelerationError(HelicopterError, RuntimeError):
    """The Rust backend was asked for and cannot be used, or failed."""


class DeviceError(RustAccelerationError):
    """The device that was asked for cannot be used."""


class ModelError(HelicopterError, RuntimeError):
    """Model data (weights, calibration) is missing, corrupted or of another version."""


class InternalError(HelicopterError, RuntimeError):
    """A fault of ours: a panic in the Rust core, caught at the border. Please report it."""
