"""``helicopter reconstruct``: one image, one mask, one result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from helicopter.errors import HelicopterError, InvalidOptionError
from helicopter.io import (
    DEFAULT_MAX_PIXELS,
    atomic_open,
    check_writable,
    read_image,
    read_mask,
    write_image,
)

from ._masks import check_fits
from ._output import about, complain, emit_json, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ._options import Machine

__all__ = ["reconstruct_image"]


def reconstruct_image(
    image: Path,
    mask: Path,
    output: Path,
    machine: Machine,
    *,
    algorithm: str,
    weights: Path | None = None,
    uncertainty: Path | None,
    data_range: tuple[float, float] | None = None,
    max_pixels: int | None,
    as_json: bool,
) -> None:
    """Redraw what the mask hides, and write it."""
    from helicopter._shared.progress import as_callback
    from helicopter.core import RegionalReconstructionEngine

    inputs = (image, mask) if weights is None else (image, mask, weights)
    _spare_inputs(inputs, (output, uncertainty))
    limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
    loaded = read_image(image, max_pixels=limit)
    hidden = read_mask(mask, max_pixels=limit)
    check_fits(mask, hidden, image, loaded.pixels)
    check_writable(output, loaded.pixels)
    if uncertainty is not None:
        if uncertainty.suffix.lower() not in (".tif", ".tiff", ".png"):
            raise InvalidOptionError(
                f"--uncertainty {str(uncertainty)!r}: use .tif for numbers or .png for a picture"
            )
        check_writable(uncertainty.with_suffix(".tif"), np.zeros((1, 1), np.float32))
    engine = RegionalReconstructionEngine(
        algorithm=algorithm,
        device=machine.device,
        use_rust_acceleration=machine.use_rust_acceleration,
        seed=machine.seed,
        weights=weights,
    )
    if output.suffix.lower() in (".jpg", ".jpeg"):
        complain(
            f"warning: {str(output)!r}: JPEG is lossy, so visible pixels change too; "
            "use .png, .tif or .webp to keep them"
        )
    try:
        with as_callback(True, image.name) as progress:
            result = engine.reconstruct(
                loaded.pixels, hidden, data_range=data_range, progress=progress
            )
    except HelicopterError as error:
        raise type(error)(about(image, str(error))) from error
    write_image(output, result.reconstruction, icc_profile=loaded.icc_profile)
    if uncertainty is not None:
        _write_uncertainty(uncertainty, result.uncertainty_map, hidden, loaded.pixels)
    sigma = result.uncertainty_map[hidden]
    if as_json:
        emit_json(
            {
                "image": str(image),
                "mask": str(mask),
                "output": str(output),
                "uncertainty": None if uncertainty is None else str(uncertainty),
                "hidden_fraction": float(hidden.mean()),
                "mean_uncertainty": float(sigma.mean()) if sigma.size else None,
                **result.to_dict(),
            }
        )
        return
    print(
        f"{printable(str(output))}: {100 * hidden.mean():.1f} % redrawn by {result.algorithm} "
        f"in {result.seconds:.2f} s ({result.backend})"
    )
    if uncertainty is not None:
        print(printable(str(uncertainty)))


def _write_uncertainty(
    path: Path, sigma: NDArray[np.float32], hidden: NDArray[np.bool_], image: NDArray[np.generic]
) -> None:
    if path.suffix.lower() != ".png":
        write_image(path, sigma)
        return
    from helicopter.plotting import map_figure, unit_of

    figure = map_figure(
        sigma, "Uncertainty (predicted standard deviation)", unit_of(image), where=hidden
    )
    with atomic_open(path) as file:
        figure.savefig(file, format="png")


def _spare_inputs(inputs: Sequence[Path], outputs: tuple[Path | None, ...]) -> None:
    """Refuse to write over what is read: the original would be gone for good."""
    given = [path for path in outputs if path is not None]
    for path in given:
        if any(path.exists() and other.exists() and path.samefile(other) for other in inputs):
            raise InvalidOptionError(
                f"cannot write {str(path)!r}: it is one of the inputs; choose another name"
            )
    if len({path.absolute() for path in given}) < len(given):
        raise InvalidOptionError(f"--output and --uncertainty are the same file, {str(given[0])!r}")
