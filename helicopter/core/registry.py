"""The algorithms that predict hidden pixels, by name: built in, or registered by the user."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

import numpy as np

from helicopter._messages import shown
from helicopter._shared.checks import check_name
from helicopter.errors import InvalidOptionError, KernelError
from helicopter.models import load_network

from ._cuda_kernel import CudaKernel

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from helicopter._shared.arrays import Image, Map, Mask
    from helicopter.backends.protocol import Algorithm, Kernel, PdeKind

__all__ = [
    "BUILT_IN",
    "DEFAULT",
    "CudaKernel",
    "CustomReconstructionKernel",
    "algorithms",
    "find_algorithm",
    "register_algorithm",
    "unregister_algorithm",
]

#: What every engine predicts with unless another algorithm is asked for.
DEFAULT = "network"
BuiltInName: TypeAlias = Literal["network", "harmonic", "biharmonic", "exemplar"]
BUILT_IN: tuple[BuiltInName, ...] = get_args(BuiltInName)

_registered: dict[str, Kernel] = {}
_lock = threading.Lock()


def register_algorithm(name: str, kernel: Callable[[Image, Mask], Any] | str) -> None:
    """Make a prediction algorithm of your own available to every engine, on both backends.

    Parameters
    ----------
    name : str
        What to pass as ``algorithm=``. A registered name may be registered again, a built-in one
        may not.
    kernel : callable or str
        CUDA C++ as a str is that of `helicopter.core.CudaKernel`, which see. Otherwise
        ``kernel(context, mask) -> prediction`` or ``-> (prediction, sigma)``:

        - `context`: float32 (H, W, C), C = 1 or 3, in [0, 1]; hidden pixels are 0. A copy: do with
          it what you like.
        - `mask`: bool (H, W), True = hidden.
        - `prediction`: (H, W, C); only its hidden pixels are used, clipped to [0, 1].
        - `sigma`: predicted standard deviation on the same scale, (H, W) or (H, W, C); more than 1
          counts as 1. Without it the uncertainty of `harmonic` is stated.

        Its exceptions reach the caller of the engine unchanged.

    Raises
    ------
    InvalidOptionError
        If the name is empty or built in, or the kernel cannot be called.
    """
    check_name(name, "name")
    if name in BUILT_IN:
        raise InvalidOptionError(
            f"name: {name!r} is built in and cannot be replaced; choose another name."
        )
    if isinstance(kernel, str):
        kernel = CudaKernel(kernel)
    if not callable(kernel):
        raise InvalidOptionError(
            f"kernel: got {type(kernel).__name__}; expected a callable kernel(context, mask), or "
            "CUDA C++ as a str."
        )
    with _lock:
        _registered[name] = _checked(name, kernel)


def unregister_algorithm(name: str) -> None:
    """Forget a registered algorithm; engines that were made with it keep it."""
    with _lock:
        if _registered.pop(name, None) is None:
            raise InvalidOptionError(
                f"name: {name!r} is not registered; registered are {sorted(_registered)}."
            )


def algorithms() -> tuple[str, ...]:
    """Names of all algorithms that engines accept, built-in ones first."""
    return (*BUILT_IN, *sorted(_registered))


def find_algorithm(
    name: object, weights: str | os.PathLike[str] | None = None
) -> Algorithm | Literal["exemplar"]:
    """Return what an algorithm's name stands for.

    Parameters
    ----------
    name : object
        What the user passed as ``algorithm=``.
    weights : path-like, optional
        Of the network, if they are not those of the package.

    Returns
    -------
    str, NetworkWeights or callable
        The name of an equation or of `exemplar`, the network's weights, or a registered kernel.

    Raises
    ------
    InvalidOptionError
        If there is no such algorithm, or weights are given to one that has none.
    ModelError
        If the network's weights cannot be used.
    """
    kernel = _registered.get(name) if isinstance(name, str) else None
    if kernel is None and not (isinstance(name, str) and name in BUILT_IN):
        raise InvalidOptionError(
            f"algorithm: got {shown(name)}; expected one of {', '.join(algorithms())}. "
            "Your own become available by helicopter.register_algorithm(name, kernel)."
        )
    if name == "network":
        return load_network(weights)
    if weights is not None:
        raise InvalidOptionError(
            f"weights: got {shown(weights)} for the algorithm {shown(name)}; only 'network' has "
            "weights."
        )
    return kernel or cast("Literal['exemplar'] | PdeKind", name)


def _checked(name: str, kernel: Callable[[Image, Mask], Any]) -> Kernel:
    """Wrap a user's kernel so that only sound predictions come out of it."""

    def run(context: Image, mask: Mask) -> tuple[Image, Map | None]:
        answer = kernel(context.copy(), mask.copy())
        sigma = None
        if isinstance(answer, tuple):
            if len(answer) != 2:
                raise KernelError(
                    f"algorithm {name!r} returned a tuple of {len(answer)}; expected a prediction "
                    "or (prediction, sigma)."
                )
            answer, sigma = answer
        prediction = _field(name, "prediction", answer, mask, {context.shape})
        prediction = np.clip(prediction, 0.0, 1.0)
        if sigma is None:
            return prediction, None
        sigma = _field(name, "sigma", sigma, mask, {context.shape, mask.shape})
        if (sigma[mask] < 0).any():
            raise KernelError(
                f"algorithm {name!r} returned a negative sigma; standard deviations are at least 0."
            )
        sigma = np.minimum(sigma, np.float32(1))  # no error on [0, 1] is larger
        if sigma.ndim == 3:
            sigma = np.sqrt(np.square(sigma).mean(axis=2))
        return prediction, sigma

    return run


def _field(name: str, what: str, value: Any, mask: Mask, shapes: set[tuple[int, ...]]) -> Image:
    try:
        given = np.asarray(value)
        if given.dtype.kind not in "buif":
            raise TypeError(f"dtype {given.dtype}")
        with np.errstate(over="ignore", invalid="ignore"):  # looked for below
            array = np.array(given, dtype=np.float32, order="C")
    except (TypeError, ValueError) as problem:
        raise KernelError(
            f"algorithm {name!r} returned {type(value).__name__} as {what}; expected an array of "
            f"numbers ({problem})."
        ) from problem
    if array.shape not in shapes:
        expected = " or ".join(str(shape) for shape in sorted(shapes))
        raise KernelError(
            f"algorithm {name!r} returned a {what} of shape {array.shape}; expected {expected}."
        )
    bad = int(np.count_nonzero(~np.isfinite(array[mask])))
    if bad:
        raise KernelError(
            f"algorithm {name!r} returned {bad} values of {what} at hidden pixels that are NaN or "
            "infinite."
        )
    array[~mask] = 0  # whatever is said of visible pixels is of no consequence
    return array


class CustomReconstructionKernel:
    """A named holder from which algorithms are registered.

    Parameters
    ----------
    algorithm : str
        A name for what the kernel does.

    Examples
    --------
    >>> import numpy as np
    >>> from helicopter.core import CustomReconstructionKernel
    >>> def mean_colour(context, mask):
    ...     return np.broadcast_to(context[~mask].mean(axis=0), context.shape)
    >>> CustomReconstructionKernel("mean").register_algorithm("mean", mean_colour)
    """

    def __init__(self, algorithm: str) -> None:
        self.algorithm = check_name(algorithm, "algorithm")

    def register_algorithm(self, name: str, kernel: Callable[[Image, Mask], Any] | str) -> None:
        """Register `kernel` under `name`; see `helicopter.register_algorithm`."""
        register_algorithm(name, kernel)

    def __repr__(self) -> str:
        return f"CustomReconstructionKernel({self.algorithm!r})"
