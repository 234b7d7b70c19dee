"""``helicopter reconstruct``: one image, its gaps and a mask, one result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from helicopter._shared.progress import as_callback
from helicopter.errors import HelicopterError

from ._distinct import Output, check_distinct
from ._files import check_output, write_map
from ._images import read_mask, read_picture
from ._options import (
    AlgorithmOption,
    JsonOption,
    Machine,
    Reading,
    WeightsOption,
    text_of,
)
from ._output import about, complain, emit_json, printable

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from helicopter.core import RegionalReconstruction

__all__ = ["ReconstructOptions", "reconstruct"]


class ReconstructOptions(NamedTuple):
    """What the command takes."""

    image: Annotated[
        Path,
        typer.Argument(metavar="IMAGE", help="A PNG, JPEG, TIFF or WebP file.", readable=False),
    ]
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="The suffix names the format; JPEG is lossy, so visible pixels change too.",
        ),
    ]
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            metavar="MASK",
            help="A grey image of the same size: white is to be redrawn. Not needed where the "
            "image has gaps: NaN, or pixels whose alpha is 0.",
            show_default=False,
        ),
    ] = None
    algorithm: AlgorithmOption = "network"
    weights: WeightsOption = None
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            "--uncertainty",
            metavar="FILE",
            help="Also write the predicted standard deviation: as numbers (.tif) or as a picture "
            "with a colour bar (.png).",
            show_default=False,
        ),
    ] = None
    as_json: JsonOption = False
    reading: Reading = Reading()
    machine: Machine = Machine()


def reconstruct(options: ReconstructOptions) -> int:
    """Redraw the masked or missing part of an image; the rest stays exactly as it is.

    [b]helicopter reconstruct photo.jpg --mask scratches.png -o mended.png[/b]

    [b]helicopter reconstruct scan.tif --mask holes.png -o mended.tif --uncertainty sigma.tif[/b]
    """
    from helicopter.core import RegionalReconstructionEngine
    from helicopter.io import check_writable, together, write_image

    options.machine.prepare()
    image, output, uncertainty = options.image, options.output, options.uncertainty
    _check_outputs(options)
    picture = read_picture(image, options.reading)
    pixels = picture.loaded.pixels
    mask = read_mask(options.mask, options.reading)
    mask.check_fits(picture)
    check_writable(output, pixels)
    engine = RegionalReconstructionEngine(
        algorithm=options.algorithm,
        device=options.machine.device,
        use_rust_acceleration=options.machine.use_rust_acceleration,
        seed=options.machine.seed,
        weights=options.weights,
    )
    if output.suffix.lower() in (".jpg", ".jpeg"):
        complain(
            f"warning: {str(output)!r}: JPEG is lossy, so visible pixels change too; "
            "use .png, .tif or .webp to keep them"
        )
    try:
        with as_callback(True, image.name) as progress:
            result = engine.reconstruct(
                pixels, mask.hidden, data_range=options.reading.data_range, progress=progress
            )
    except HelicopterError as error:
        raise type(error)(about(image, str(error))) from error
    hidden = result.uncertainty_map != 0
    with together():
        write_image(output, result.reconstruction, icc_profile=picture.loaded.icc_profile)
        if uncertainty is not None:
            write_map(
                uncertainty,
                result.uncertainty_map,
                lambda: _draw_uncertainty(result, hidden, pixels),
            )
    if options.as_json:
        _emit(options, result, hidden)
        return 0
    print(
        f"{printable(str(output))}: {100 * hidden.mean():.1f} % redrawn by {result.algorithm} "
        f"in {result.seconds:.2f} s ({result.backend})"
    )
    if uncertainty is not None:
        print(printable(str(uncertainty)))
    return 0


def _check_outputs(options: ReconstructOptions) -> None:
    """Refuse what could not be written, as far as that can be said before the image is read."""
    outputs = [Output(options.output, "--output")]
    if options.uncertainty is not None:
        check_output(options.uncertainty, "--uncertainty", [options.image])
        outputs.append(Output(options.uncertainty, "--uncertainty"))
    check_distinct((options.image, options.mask, options.weights), outputs)


def _draw_uncertainty(
    result: RegionalReconstruction, hidden: NDArray[np.bool_], image: NDArray[np.generic]
) -> Figure:
    from helicopter.plotting import map_figure, unit_of

    title = "Uncertainty (predicted standard deviation)"
    return map_figure(result.uncertainty_map, title, unit_of(image), where=hidden)


def _emit(
    options: ReconstructOptions, result: RegionalReconstruction, hidden: NDArray[np.bool_]
) -> None:
    sigma = result.uncertainty_map[hidden]
    emit_json(
        {
            "image": str(options.image),
            "mask": text_of(options.mask),
            "output": str(options.output),
            "uncertainty": text_of(options.uncertainty),
            "hidden_fraction": float(hidden.mean()),
            "mean_uncertainty": float(sigma.mean()) if sigma.size else None,
            **result.to_dict(),
        }
    )
