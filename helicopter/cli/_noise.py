"""``helicopter noise``: how noisy images are, and with what."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ._distinct import Output, check_distinct
from ._files import check_output, write_map
from ._images import each_image, read_mask
from ._options import ImagesArgument, JsonOption, LeftOutOption, Machine, Reading, text_of
from ._output import printable, stdout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from helicopter.core import NoiseAnalysis

    from ._images import Picture

__all__ = ["NoiseOptions", "noise"]


class NoiseOptions(NamedTuple):
    """What the command takes."""

    images: ImagesArgument
    as_json: JsonOption = False
    map_file: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="FILE",
            help="Also write where one image is how noisy: as numbers (.tif) or as a picture with "
            "a colour bar (.png).",
            show_default=False,
        ),
    ] = None
    segments: Annotated[
        int | None,
        typer.Option(
            "--segments",
            metavar="N",
            help="Also analyse the cells of a grid of N x N, one by one.",
            show_default=False,
        ),
    ] = None
    mask: LeftOutOption = None
    reading: Reading = Reading()
    machine: Machine = Machine()


def noise(options: NoiseOptions) -> int:
    """Tell how noisy images are, with which kinds of noise, and where.

    [b]helicopter noise photo.jpg scans/*.tif[/b]

    [b]helicopter noise photo.jpg --map noise.png --segments 4[/b]

    Sigma is the standard deviation of the noise that is in every pixel, in the image's own units.
    An image that fails does not stop the others.
    """
    from helicopter._shared.checks import check_integer
    from helicopter.core import ZengezaNoiseDetector

    options.machine.prepare()
    if options.segments is not None:
        check_integer(options.segments, "segments", 1)
    options.reading.check()
    if options.map_file is not None:
        check_output(options.map_file, "--map", options.images)
        check_distinct((*options.images, options.mask), [Output(options.map_file, "--map")])
    detector = ZengezaNoiseDetector(options.machine.device, options.machine.use_rust_acceleration)
    mask = read_mask(options.mask, options.reading)
    found: list[tuple[str, NoiseAnalysis]] = []

    def work(picture: Picture) -> dict[str, Any]:
        noise = detector.analyze(
            picture.loaded.pixels,
            segments=options.segments,
            mask=mask.hidden,
            data_range=options.reading.data_range,
        )
        if options.map_file is not None:
            write_map(options.map_file, noise.sigma_map, lambda: _draw_map(noise))
        found.append((printable(picture.path.name), noise))
        return {
            **picture.facts(),
            "map": text_of(options.map_file),
            "noise": noise.to_dict(),
        }

    outcome = each_image(options.images, options.reading, mask, work)
    if options.as_json:
        outcome.emit_json()
    elif found:
        _print_table(found)
        if options.map_file is not None:
            print()
            print(printable(str(options.map_file)))
    return outcome.exit_code()


def _draw_map(noise: NoiseAnalysis) -> Figure:
    from helicopter.plotting import map_figure, noise_map_title, noise_unit

    return map_figure(noise.sigma_map, noise_map_title(), noise_unit(noise))


def _print_table(found: Sequence[tuple[str, NoiseAnalysis]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from helicopter.core.results._noise import describe_kind

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("image", overflow="fold")
    for heading, justify in (
        ("sigma", "right"), ("90 % interval", "right"), ("SNR", "right"), ("level", "left"),
    ):  # fmt: skip
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("kinds")
    table.add_column("backend")
    table.add_column("time", justify="right", no_wrap=True)
    for name, noise in found:
        low, high = noise.sigma_interval
        table.add_row(
            Text(name),
            f"{noise.sigma:.3g}",
            f"{low:.3g} to {high:.3g}",
            "infinite" if noise.snr_db == math.inf else f"{noise.snr_db:.1f} dB",
            noise.level,
            "; ".join(describe_kind(kind, noise.parameters) for kind in noise.kinds),
            noise.backend,
            f"{noise.seconds:.2f} s",
        )
    console = stdout()
    console.print(table)
    for name, noise in found:
        if not noise.segments:
            continue
        console.print()
        table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
        table.title = Text(f"{name}, by segment")
        for heading in ("segment", "rows", "columns", "sigma", "priority"):
            table.add_column(heading, justify="right")
        for heading in ("level", "kinds", "action"):
            table.add_column(heading)
        for part in noise.segments:
            top, left, bottom, right = part.bounding_box
            table.add_row(
                str(part.label),
                f"{top}-{bottom - 1}",
                f"{left}-{right - 1}",
                f"{part.sigma:.3g}",
                f"{part.priority:.2f}",
                part.level,
                "; ".join(describe_kind(kind, part.parameters) for kind in part.kinds),
                part.action.replace("_", " "),
            )
        console.print(table)
