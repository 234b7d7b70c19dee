"""Images that lie on a GPU already, reconstructed where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from helicopter.backends.loader import accelerator, gpu_number
from helicopter.backends.rust import as_rust
from helicopter.errors import DeviceError, InvalidImageError, InvalidMaskError, InvalidOptionError
from helicopter.models import NetworkWeights

from ._error_law import RIGHT, CalibratedLaw

if TYPE_CHECKING:
    from helicopter.backends.protocol import Algorithm
    from helicopter.models import UncertaintyModel

    from ._error_law import ErrorLaw

__all__ = ["on_device", "reconstruct_on_device"]


def on_device(image: object) -> bool:
    """Whether an array lies on a GPU."""
    return hasattr(image, "__cuda_array_interface__")


def reconstruct_on_device(
    image: Any,
    mask: Any,
    device: str,
    algorithm: Algorithm,
    model: UncertaintyModel,
    law: ErrorLaw,
    data_range: tuple[float, float],
) -> tuple[Any, Any, Any]:
    """Return the filled image, the standard deviation and the confidence, on the GPU.

    Raises
    ------
    DeviceError
        If the engine runs elsewhere.
    InvalidImageError, InvalidMaskError, InvalidOptionError
    """
    number = gpu_number(device)
    if number is None:
        raise DeviceError(
            f"image: it is on a GPU, but the engine runs on {device!r}; nothing is copied unasked. "
            'Make the engine with device="cuda", or pass an array of NumPy.'
        )
    if mask is None or not on_device(mask):
        raise InvalidMaskError(
            "mask: the image is on a GPU and the mask is not; expected bool or uint8 of shape "
            "(H, W) there too. Nothing is copied unasked."
        )
    if callable(algorithm) and not isinstance(algorithm, NetworkWeights):
        raise InvalidOptionError(
            "algorithm: registered algorithms and 'exemplar' take images of the host; expected "
            "network, harmonic or biharmonic for an image on a GPU."
        )
    table = None
    if isinstance(law, CalibratedLaw):
        table = (law.log_sigma.astype(float).tolist(), law.right.tolist())
    rust: Any = accelerator()
    try:
        filled, sigma, confidence = rust.cuda_reconstruct(
            image,
            mask,
            as_rust(algorithm, number),
            model,
            *data_range,
            table,
            RIGHT,
            gpu=number,
        )
    except (TypeError, KeyError) as problem:
        raise InvalidImageError(
            f"image: its __cuda_array_interface__ is not as that is defined ({problem})."
        ) from problem
    return filled, sigma, confidence
