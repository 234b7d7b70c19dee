"""What all engines have in common: the choice of backend and device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .loader import resolve

if TYPE_CHECKING:
    from .protocol import Backend

__all__ = ["Engine", "backend_of"]


class Engine:
    """Base of the engines.

    Attributes
    ----------
    backend : str
        ``"rust"`` or ``"python"``.
    device : str
        What the engine runs on.
    """

    backend: str
    device: str

    def __init__(self, device: str, use_rust_acceleration: bool | None) -> None:
        self.backend, self.device = resolve(use_rust_acceleration, device)

    @property
    def _backend(self) -> Backend:
        """What computes; not kept, so that engines can be pickled and copied."""
        return backend_of(self.backend, self.device)


def backend_of(name: str, device: str = "cpu") -> Backend:
    """Return the backend of this name, ``"rust"`` or ``"python"``, on a device."""
    # imported on use: the Rust backend needs no SciPy, and the Python one no accelerator
    if name == "rust":
        from .rust import RustBackend

        return RustBackend(device)
    from .reference import backend

    return backend
