"""The Rust accelerator of Helicopter.

Arrays are borrowed, not copied: they must be C-contiguous and of exactly the dtype that is named.
The interpreter is released while a function works. An array that a call works on must not be
changed from another thread meanwhile.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias, TypedDict, final, type_check_only

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "__version__",
    "_call_kernel",
    "_panic",
    "_spin",
    "build_info",
    "num_threads",
    "solve_pde",
]

__version__: str

_Image: TypeAlias = NDArray[np.float32]
_Mask: TypeAlias = NDArray[np.bool_]
_Progress: TypeAlias = Callable[[int, int], object]
_Kernel: TypeAlias = Callable[[_Image, _Mask], _Image | tuple[_Image, _Image | None]]

@final
@type_check_only
class _BuildInfo(TypedDict):
    version: str
    target: str
    profile: str
    opt_level: str
    rustc: str
    debug_assertions: bool
    cuda: bool

def build_info() -> _BuildInfo:
    """How this module was built."""

def num_threads(threads: int | None = None) -> int:
    """The number of threads that a call with ``threads=threads`` runs on."""

def solve_pde(
    image: _Image,
    mask: _Mask,
    kind: Literal["harmonic", "biharmonic"],
    *,
    threads: int | None = None,
    progress: _Progress | None = None,
) -> None:
    """Fill the hidden pixels of `image`, (height, width, channels), in place.

    When the call raises, the hidden pixels are left in an undefined state.
    """

def _call_kernel(
    image: _Image, mask: _Mask, kernel: _Kernel, *, times: int = 1, threads: int | None = None
) -> list[tuple[_Image, _Image | None]]: ...
def _panic(message: str, *, threads: int | None = None) -> None: ...
def _spin(
    seconds: float, *, threads: int | None = None, progress: _Progress | None = None
) -> int: ...
