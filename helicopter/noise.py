"""The noise of an image in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helicopter.core.zengeza_detector import ZengezaNoiseDetector

if TYPE_CHECKING:
    from helicopter.core.results._noise import NoiseAnalysis, NoiseLevel

__all__ = ["estimate_noise", "estimate_sigma"]


def estimate_noise(
    image: object,
    *,
    segments: object = None,
    mask: object = None,
    data_range: tuple[float, float] | None = None,
    device: str = "auto",
    use_rust_acceleration: bool | None = None,
) -> NoiseAnalysis:
    """Tell how noisy an image is, with which kinds of noise, where and at which scales.

    The short form of `ZengezaNoiseDetector.analyze`, where the parameters are described.

    Parameters
    ----------
    image : array_like
    segments : int, pair of int, or integer array_like of shape (H, W), optional
        A grid or a label for every pixel: regions to analyse one by one as well.
    mask : bool array_like of shape (H, W), optional
        True = hidden, left out.
    data_range : tuple of float, optional
    device : str, default "auto"
    use_rust_acceleration : bool, optional

    Returns
    -------
    NoiseAnalysis

    Examples
    --------
    >>> import numpy as np
    >>> import helicopter
    >>> rng = np.random.default_rng(0)
    >>> y, x = np.mgrid[:128, :128]
    >>> noisy = 0.5 + 0.2 * np.sin(x / 30) * np.cos(y / 40) + rng.normal(0, 0.02, (128, 128))
    >>> found = helicopter.estimate_noise(noisy)
    >>> abs(found.sigma - 0.02) < 0.002
    True
    """
    detector = ZengezaNoiseDetector(device, use_rust_acceleration)
    return detector.analyze(image, segments=segments, mask=mask, data_range=data_range)


def estimate_sigma(
    image: object,
    *,
    mask: object = None,
    data_range: tuple[float, float] | None = None,
    device: str = "auto",
    use_rust_acceleration: bool | None = None,
) -> NoiseLevel:
    """Estimate the standard deviation of the noise alone, sooner than `estimate_noise`.

    The short form of `ZengezaNoiseDetector.level`, where the parameters are described.

    Parameters
    ----------
    image : array_like
    mask : bool array_like of shape (H, W), optional
        True = hidden, left out.
    data_range : tuple of float, optional
    device : str, default "auto"
    use_rust_acceleration : bool, optional

    Returns
    -------
    NoiseLevel
    """
    detector = ZengezaNoiseDetector(device, use_rust_acceleration)
    return detector.level(image, mask=mask, data_range=data_range)
