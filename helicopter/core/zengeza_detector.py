"""Zengeza: how much noise an image has, of which kind and where, told from the image alone."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter.backends._engine import Engine

from .noise._assessment import (
    action_for,
    kinds_of,
    level_function_of,
    moments_of,
    moments_of_segments,
    noise_variance,
    parameters_of,
    priority_of,
    variance_by_scale,
)
from .results._noise import (
    NOISE_KINDS,
    NoiseAnalysis,
    NoiseLevel,
    NoiseScale,
    SegmentNoise,
    decibels,
    noise_level_name,
)
from .segments._types import extents
from .validation import PreparedImage, check_segments, prepare_image, require_visible

if TYPE_CHECKING:
    from helicopter._shared.arrays import Labels, Mask
    from helicopter.backends.protocol import FineNoise, NoiseRun

    from .noise._assessment import Moments

__all__ = ["ZengezaNoiseDetector", "quantum_of"]

#: From this probability on the fine noise is called coloured.
COLOURED = 0.5


class ZengezaNoiseDetector(Engine):
    """Estimates noise blindly: from a single image, with nothing to compare it to.

    Parameters
    ----------
    device : str, default "auto"
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
    use_rust_acceleration : bool, optional
        True: Rust or an error; False: Python; None: Rust if it can be used.

    Raises
    ------
    InvalidOptionError, DeviceError, RustAccelerationError
    """

    def __init__(self, device: str = "auto", use_rust_acceleration: bool | None = None) -> None:
        super().__init__(device, use_rust_acceleration)

    def analyze(
        self,
        image: object,
        *,
        segments: object = None,
        mask: object = None,
        data_range: tuple[float, float] | None = None,
    ) -> NoiseAnalysis:
        """Find out how much noise there is, of which kinds, where and at which scales.

        Parameters
        ----------
        image : array_like of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)
            bool, integers of up to 32 bits or floats; floats in [0, 1] unless `data_range` says
            otherwise. Gaps are left out besides what `mask` hides: NaN, infinities, what a masked
            array masks, pixels whose alpha is 0 (unless all are).
        segments : int, pair of int, or integer array_like of shape (H, W), optional
            Regions to analyse one by one: a number n stands for a grid of n x n cells, a pair for
            its rows and columns, an array for a label of each pixel (any integers). Segments of
            which nothing is visible are left out.
        mask : bool array_like of shape (H, W), optional
            True = hidden: pixels to leave out, which may hold anything, NaN included.
        data_range : tuple of float, optional
            The values of black and white. Without it, 12-bit data in 16-bit files counts as dark.

        Returns
        -------
        NoiseAnalysis

        Raises
        ------
        InvalidImageError, InvalidMaskError, InvalidOptionError

        Examples
        --------
        >>> import numpy as np
        >>> from helicopter.core import ZengezaNoiseDetector
        >>> rng = np.random.default_rng(0)
        >>> grey = np.clip(128 + rng.normal(0, 10, (128, 128)), 0, 255).astype(np.uint8)
        >>> ZengezaNoiseDetector().analyze(grey).level
        'moderate'
        """
        started = time.perf_counter()
        prepared, included = _prepare(image, mask, data_range)
        labels = None
        if segments is not None:
            values, labels = check_segments(segments, included.shape)
            boxes, areas = extents(labels, len(values))
            values, labels, kept = _only_visible(values, labels, included)
            boxes, areas = boxes[kept], areas[kept]
        pixels, units = prepared.pixels, prepared.units
        run, parts = self._backend.analyze_noise(pixels, included, quantum_of(prepared), labels)
        seen, content = variance_by_scale(pixels, included, len(run.scale_sigma))
        kinds = kinds_of(run)
        noise = noise_variance(run, kinds, seen)
        found: list[SegmentNoise] = []
        if labels is not None:
            moments = moments_of_segments(pixels, included, labels, len(values))
            found = [
                _segment(
                    values[k], tuple(boxes[k].tolist()), int(areas[k]), part, moments[k], units
                )
                for k, part in enumerate(parts)
            ]
        sigma_map = run.sigma_map  # in place: a second map of 100 megapixels would be too much
        sigma_map *= np.float32(units)
        np.copyto(sigma_map, np.float32(np.nan), where=~included)
        return NoiseAnalysis(
            **_fine(run.fine, units),
            total_sigma=math.sqrt(noise) * units,
            snr_db=decibels(seen.variance - noise, noise),
            level=noise_level_name(math.sqrt(noise)),
            kind=kinds[0],
            kinds=kinds,
            kind_probabilities=_probabilities(run),
            parameters=parameters_of(run, units),
            noise_level_function=level_function_of(run.level_function, prepared.low, units),
            noise_colour="coloured" if run.coloured >= COLOURED else "white",
            scales=tuple(
                NoiseScale(
                    scale=2**step,
                    sigma=float(sigma) * units,
                    power=(float(sigma) * units) ** 2,
                    snr_db=decibels(content[step] - sigma**2, sigma**2),
                )
                for step, sigma in enumerate(run.scale_sigma)
            ),
            sigma_map=sigma_map,
            spectrum=run.spectrum,
            segments=tuple(found),
            data_range=(prepared.low, prepared.high),
            dtype=prepared.original.dtype.name,
            backend=self.backend,
            device=self.device,
            seconds=time.perf_counter() - started,
        )

    def level(
        self,
        image: object,
        *,
        mask: object = None,
        data_range: tuple[float, float] | None = None,
    ) -> NoiseLevel:
        """Estimate the standard deviation of the fine noise alone, which takes least time.

        Parameters
        ----------
        image, mask, data_range
            As in `analyze`.

        Returns
        -------
        NoiseLevel

        Raises
        ------
        InvalidImageError, InvalidMaskError, InvalidOptionError
        """
        started = time.perf_counter()
        prepared, included = _prepare(image, mask, data_range)
        units = prepared.units
        fine = self._backend.noise_level(prepared.pixels, included, quantum_of(prepared))
        variance = moments_of(prepared.pixels, included).variance
        return NoiseLevel(
            **_fine(fine, units),
            snr_db=decibels(variance - fine.sigma**2, fine.sigma**2),
            level=noise_level_name(fine.sigma),
            data_range=(prepared.low, prepared.high),
            backend=self.backend,
            device=self.device,
            seconds=time.perf_counter() - started,
        )


def _prepare(
    image: object, mask: object, data_range: tuple[float, float] | None
) -> tuple[PreparedImage, Mask]:
    prepared, hidden = prepare_image(image, hidden=mask, data_range=data_range)
    require_visible(hidden, since="nothing else is measured")
    return prepared, ~hidden


def quantum_of(prepared: PreparedImage) -> float:
    """Step of the input's values on the [0, 1] scale; 0 for floats, of which nothing is known."""
    return 0.0 if prepared.original.dtype.kind == "f" else 1.0 / prepared.units


def _fine(fine: FineNoise, units: float) -> dict[str, Any]:
    return {
        "sigma": float(fine.sigma) * units,
        "sigma_interval": (float(fine.low) * units, float(fine.high) * units),
        "sigma_per_channel": tuple(float(sigma) * units for sigma in fine.by_channel),
    }


def _probabilities(run: NoiseRun) -> dict[str, float]:
    return dict(zip(NOISE_KINDS, map(float, run.probabilities), strict=True))


def _only_visible(
    values: list[int], labels: Labels, included: Mask
) -> tuple[list[int], Labels, list[int]]:
    """Leave out segments that are hidden altogether; return which of them are kept, too."""
    visible = np.zeros(len(values), dtype=bool)
    visible[labels[included]] = True
    kept = np.flatnonzero(visible).tolist()
    if len(kept) == len(values):
        return values, labels, kept
    # hidden pixels belong to no segment that counts; where they are put makes no difference
    number = np.where(visible, np.cumsum(visible) - 1, 0).astype(np.int32)
    return [values[k] for k in kept], number[labels], kept


def _segment(
    label: int,
    box: tuple[int, int, int, int],
    area: int,
    run: NoiseRun,
    seen: Moments,
    units: float,
) -> SegmentNoise:
    kinds = kinds_of(run)
    noise = noise_variance(run, kinds, seen)
    content = seen.variance - noise
    return SegmentNoise(
        label=label,
        bounding_box=box,
        area=area,
        sigma=float(run.fine.sigma) * units,
        total_sigma=math.sqrt(noise) * units,
        snr_db=decibels(content, noise),
        level=noise_level_name(math.sqrt(noise)),
        kind=kinds[0],
        kinds=kinds,
        kind_probabilities=_probabilities(run),
        parameters=parameters_of(run, units),
        priority=priority_of(content, noise),
        action=action_for(run, kinds, content, noise),
    )
