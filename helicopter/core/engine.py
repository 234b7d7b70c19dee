"""What all engines have in common: the choice of backend and device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helicopter.backends import resolve

if TYPE_CHECKING:
    from helicopter.backends.protocol import Backend

__all__ = ["Engine"]


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
        self._backend: Backend
        # imported on use: the Rust backend needs no SciPy, and the Python one no accelerator
        if self.backend == "rust":
            from helicopter.backends.rust import RustBackend

            self._backend = RustBackend()
        else:
            from helicopter.backends.reference.backend import ReferenceBackend

            self._backend = ReferenceBackend()
