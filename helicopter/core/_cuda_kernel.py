"""A prediction algorithm written in CUDA C++."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._messages import shown
from helicopter._shared.checks import check_name
from helicopter.backends.loader import accelerator, gpu_number, resolve
from helicopter.errors import InvalidOptionError

if TYPE_CHECKING:
    from helicopter._shared.arrays import Image, Map, Mask

__all__ = ["CudaKernel"]


class CudaKernel:
    """A prediction algorithm of your own that runs on a GPU, for `helicopter.register_algorithm`.

    The source is CUDA C++ without any ``#include`` that defines ::

        extern "C" __global__ void predict(
            const float* context,       // (height, width, channels), in [0, 1]; hidden pixels are 0
            const unsigned char* mask,  // (height, width), 1 = hidden
            float* prediction,          // (height, width, channels), a copy of `context` at first
            float* sigma,               // (height, width), -1 at first
            int height, int width, int channels)

    It is started with one thread for each pixel, in blocks of 32 x 8 that may reach beyond the
    image. Only hidden pixels of `prediction` count, clipped to [0, 1]. `sigma` is the standard
    deviation of the error; if the kernel leaves all of it alone, that of `harmonic` is stated.

    Parameters
    ----------
    source : str
    entry : str, default "predict"
        The name of the kernel in the source.
    device : str, default "cuda"
        ``"cuda"`` or ``"cuda:N"``.

    Raises
    ------
    InvalidOptionError
    DeviceError
        If there is no such GPU, or the source does not compile: the message has the compiler's
        words with the numbers of the source's lines.
    RustAccelerationError
        If the accelerator cannot be used.

    Examples
    --------
    >>> half = '''
    ... extern "C" __global__ void predict(
    ...     const float* context, const unsigned char* mask, float* prediction, float* sigma,
    ...     int height, int width, int channels) {
    ...     int x = blockIdx.x * blockDim.x + threadIdx.x;
    ...     int y = blockIdx.y * blockDim.y + threadIdx.y;
    ...     if (x >= width || y >= height) return;
    ...     for (int c = 0; c < channels; ++c) prediction[(y * width + x) * channels + c] = 0.5f;
    ... }'''
    >>> helicopter.register_algorithm("half", helicopter.core.CudaKernel(half))  # doctest: +SKIP
    """

    def __init__(self, source: str, entry: str = "predict", device: str = "cuda") -> None:
        if not isinstance(source, str):
            raise InvalidOptionError(
                f"source: got {type(source).__name__}; expected a str of CUDA C++."
            )
        self.source = source
        self.entry = check_name(entry, "entry")
        number = gpu_number(device) if isinstance(device, str) else None
        if number is None:
            raise InvalidOptionError(
                f'device: got {shown(device)}; expected "cuda" or "cuda:N", since the kernel is '
                "CUDA C++."
            )
        _, self.device = resolve(None, device)
        module: Any = accelerator()
        self._kernel = module.CudaKernel(source, self.entry, f"{self.entry}.cu", number)

    def __call__(self, context: Image, mask: Mask) -> tuple[Image, Map] | Image:
        """Predict; see `helicopter.register_algorithm`."""
        prediction, sigma = self._kernel.run(
            np.ascontiguousarray(context, dtype=np.float32), np.ascontiguousarray(mask, dtype=bool)
        )
        return prediction if sigma is None else (prediction, np.maximum(sigma, np.float32(0)))

    def __reduce__(self) -> tuple[Any, ...]:
        return CudaKernel, (self.source, self.entry, self.device)

    def __repr__(self) -> str:
        return f"CudaKernel(<{len(self.source)} characters>, {self.entry!r}, {self.device!r})"
