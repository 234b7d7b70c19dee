"""``helicopter anomalies``: what in images does not follow from the rest of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from helicopter._shared.progress import as_callback

from ._distinct import Output, check_distinct
from ._files import PICTURE_SUFFIXES, check_output, write_figure, write_map
from ._images import each_image, read_mask
from ._options import (
    AlgorithmOption,
    ImagesArgument,
    JsonOption,
    LeftOutOption,
    LevelOption,
    Machine,
    Reading,
    WeightsOption,
    text_of,
)
from ._output import printable, stdout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from helicopter.core import AnomalyAnalysis, AnomalyDetector

    from ._images import Picture

__all__ = ["AnomaliesOptions", "anomalies"]

#: So many regions of an image are listed; JSON has all.
_LISTED = 20


class AnomaliesOptions(NamedTuple):
    """What the command takes."""

    images: ImagesArgument
    level: LevelOption = 0.1
    figure: Annotated[
        Path | None,
        typer.Option(
            "--figure",
            "-o",
            metavar="FILE",
            help="Also draw one image with its anomalies outlined, beside the map (.png).",
            show_default=False,
        ),
    ] = None
    map_file: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="FILE",
            help="Also write how unlike the rest each place of one image is: as numbers (.tif) or "
            "as a picture with a colour bar (.png).",
            show_default=False,
        ),
    ] = None
    segments: Annotated[
        int | None,
        typer.Option(
            "--segments",
            metavar="N",
            help="Let regions consist of whole segments, of which there are so many.",
            show_default=False,
        ),
    ] = None
    as_json: JsonOption = False
    mask: LeftOutOption = None
    algorithm: AlgorithmOption = "network"
    weights: WeightsOption = None
    reading: Reading = Reading()
    machine: Machine = Machine()


def anomalies(options: AnomaliesOptions) -> int:
    """Find what in images does not follow from the rest of them, and is no noise either.

    [b]helicopter anomalies cloth.png scans/*.tif[/b]

    [b]helicopter anomalies cloth.png -o marked.png --level 0.01[/b]

    Of the regions that are declared no more than the share --level is false, on average.
    An image that fails does not stop the others; one with anomalies is no failure.
    """
    from helicopter.io import together

    options.machine.prepare()
    detector = _detector(options)
    mask = read_mask(options.mask, options.reading)
    said: list[tuple[str, AnomalyAnalysis]] = []

    def work(picture: Picture) -> dict[str, Any]:
        with as_callback(True, picture.path.name) as progress:
            found = detector.find(
                picture.loaded.pixels,
                level=options.level,
                segments=options.segments,
                mask=mask.hidden,
                data_range=options.reading.data_range,
                progress=progress,
            )
        with together():
            if options.map_file is not None:
                write_map(options.map_file, found.anomaly_map, lambda: _draw_map(found))
            if options.figure is not None:
                write_figure(options.figure, found.plot)
        said.append((printable(picture.path.name), found))
        return {
            **picture.facts(),
            "map": text_of(options.map_file),
            "figure": text_of(options.figure),
            "anomalies": found.to_dict(),
        }

    outcome = each_image(options.images, options.reading, mask, work)
    if options.as_json:
        outcome.emit_json()
    elif said:
        for number, (name, found) in enumerate(said):
            if number:
                print()
            _print(name, found)
        for file in (options.map_file, options.figure):
            if file is not None:
                print(printable(str(file)))
    return outcome.exit_code()


def _detector(options: AnomaliesOptions) -> AnomalyDetector:
    """Make what looks at all images; what is wrong with an option is said here, and once."""
    from helicopter._shared.checks import check_fraction, check_integer
    from helicopter.core import AnomalyDetector

    check_fraction(options.level, "level", ends=False)
    if options.segments is not None:
        check_integer(options.segments, "segments", 1)
    options.reading.check()
    images, figure, map_file = options.images, options.figure, options.map_file
    check_output(map_file, "--map", images)
    check_output(figure, "--figure", images, suffixes=PICTURE_SUFFIXES)
    outputs = [
        Output(file, option)
        for file, option in ((map_file, "--map"), (figure, "--figure"))
        if file is not None
    ]
    check_distinct((*images, options.mask, options.weights), outputs)
    machine = options.machine
    return AnomalyDetector(
        options.algorithm,
        machine.device,
        machine.use_rust_acceleration,
        machine.seed,
        text_of(options.weights),
    )


def _draw_map(found: AnomalyAnalysis) -> Figure:
    from helicopter.plotting import anomaly_map_title, map_figure
    from helicopter.plotting._parts import MAP_UNIT

    return map_figure(found.anomaly_map, anomaly_map_title(), MAP_UNIT)


def _print(name: str, found: AnomalyAnalysis) -> None:
    from rich.table import Table
    from rich.text import Text

    console = stdout()
    count = len(found.regions)
    what = "nothing declared" if not count else f"{count} region{'s' * (count > 1)}"
    tested = f"{found.candidates} place{'s' * (found.candidates != 1)} tested"
    console.print(
        Text.assemble(
            (name, "bold"),
            f"  {what} at level {found.level:g}, {tested}, {found.backend}, {found.seconds:.2f} s",
        )
    )
    if not count:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "rows", "columns", "pixels", "score", "probability", "q-value",
                    "deviation"):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True)
    for region in found.regions[:_LISTED]:
        top, left, bottom, right = region.bounding_box
        table.add_row(
            str(region.label),
            f"{top}-{bottom - 1}",
            f"{left}-{right - 1}",
            str(region.area),
            f"{region.score:.2f}",
            f"{region.probability:.3f}",
            f"{region.q_value:.2g}",
            f"{region.mean_deviation:+.3g}",
        )
    console.print(table)
    if count > _LISTED:
        console.print(f"and {count - _LISTED} more (--json lists all)")
