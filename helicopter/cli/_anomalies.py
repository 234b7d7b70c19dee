"""``helicopter anomalies``: what in images does not follow from the rest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter.errors import InvalidOptionError

from ._many import each_image
from ._maps import PICTURE_SUFFIXES, check_output
from ._masks import check_fits
from ._output import printable, stdout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from helicopter.core import AnomalyAnalysis

    from ._options import Machine

__all__ = ["show_anomalies"]

#: So many regions of an image are listed; JSON has all.
_LISTED = 20


def show_anomalies(
    paths: Sequence[Path],
    machine: Machine,
    *,
    level: float = 0.1,
    segments: int | None = None,
    algorithm: str = "network",
    weights: Path | None = None,
    mask: Path | None = None,
    map_file: Path | None = None,
    figure: Path | None = None,
    data_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
    as_json: bool = False,
) -> int:
    """Find the anomalies of each image, print them, and return the exit code."""
    from helicopter._shared.checks import check_fraction, check_integer
    from helicopter._shared.progress import as_callback
    from helicopter.core import AnomalyDetector
    from helicopter.core.validation import prepare_image
    from helicopter.io import DEFAULT_MAX_PIXELS, read_image, read_mask

    check_fraction(level, "level", ends=False)
    if segments is not None:
        check_integer(segments, "segments", 1)
    # an image of which nothing is looked at: only the range can be refused
    prepare_image(
        np.zeros((1, 1), np.float32), hidden=np.ones((1, 1), np.bool_), data_range=data_range
    )
    check_output(map_file, "--map", paths, mask, weights)
    check_output(figure, "--figure", paths, mask, weights, suffixes=PICTURE_SUFFIXES)
    if figure is not None and map_file is not None and figure.absolute() == map_file.absolute():
        raise InvalidOptionError(
            f"--figure {str(figure)!r}: is what --map writes; choose another name"
        )
    detector = AnomalyDetector(
        algorithm,
        machine.device,
        machine.use_rust_acceleration,
        machine.seed,
        None if weights is None else str(weights),
    )
    limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
    hidden = None if mask is None else read_mask(mask, max_pixels=limit)
    said: list[tuple[str, AnomalyAnalysis]] = []

    def work(_: int, path: Path) -> dict[str, Any]:
        loaded = read_image(path, max_pixels=limit)
        check_fits(mask, hidden, path, loaded.pixels)
        with as_callback(True, path.name) as progress:
            found = detector.find(
                loaded.pixels,
                level=level,
                segments=segments,
                mask=hidden,
                data_range=data_range,
                progress=progress,
            )
        if map_file is not None:
            _write_map(map_file, found)
        if figure is not None:
            _write_figure(figure, found)
        said.append((printable(path.name), found))
        return {
            "image": str(path),
            "format": loaded.format,
            "shape": list(loaded.pixels.shape),
            "dtype": str(loaded.pixels.dtype),
            "map": None if map_file is None else str(map_file),
            "figure": None if figure is None else str(figure),
            "anomalies": found.to_dict(),
        }

    outcome = each_image(paths, work)
    if as_json:
        outcome.emit_json()
    elif said:
        for number, (name, found) in enumerate(said):
            if number:
                print()
            _print(name, found)
        for file in (map_file, figure):
            if file is not None:
                print(printable(str(file)))
    return outcome.exit_code()


def _write_map(path: Path, found: AnomalyAnalysis) -> None:
    from helicopter.io import atomic_open, write_image

    if path.suffix.lower() != ".png":
        write_image(path, found.anomaly_map)
        return
    from helicopter.plotting import anomaly_map_title, map_figure
    from helicopter.plotting._parts import MAP_UNIT

    figure = map_figure(found.anomaly_map, anomaly_map_title(), MAP_UNIT)
    with atomic_open(path) as file:
        figure.savefig(file, format="png")


def _write_figure(path: Path, found: AnomalyAnalysis) -> None:
    from helicopter.io import atomic_open

    figure = found.plot()
    with atomic_open(path) as file:
        figure.savefig(file, format="png")


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
