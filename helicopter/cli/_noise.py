"""``helicopter noise``: how noisy images are, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._many import each_image
from ._maps import check_output
from ._masks import check_fits
from ._output import printable, stdout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from helicopter.core import NoiseAnalysis

    from ._options import Machine

__all__ = ["show_noise"]


def show_noise(
    paths: Sequence[Path],
    machine: Machine,
    *,
    segments: int | None = None,
    mask: Path | None = None,
    map_file: Path | None = None,
    data_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
    as_json: bool = False,
) -> int:
    """Analyse the noise of each image, print what was found, and return the exit code."""
    from helicopter._shared.checks import check_integer
    from helicopter.core import ZengezaNoiseDetector
    from helicopter.core.validation import prepare_image
    from helicopter.io import DEFAULT_MAX_PIXELS, read_image, read_mask

    if segments is not None:
        check_integer(segments, "segments", 1)
    # an image of which nothing is looked at: only the range can be refused
    prepare_image(
        np.zeros((1, 1), np.float32), hidden=np.ones((1, 1), np.bool_), data_range=data_range
    )
    check_output(map_file, "--map", paths, mask)
    detector = ZengezaNoiseDetector(machine.device, machine.use_rust_acceleration)
    limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
    hidden = None if mask is None else read_mask(mask, max_pixels=limit)
    found: list[tuple[str, NoiseAnalysis]] = []

    def work(_: int, path: Path) -> dict[str, Any]:
        loaded = read_image(path, max_pixels=limit)
        check_fits(mask, hidden, path, loaded.pixels)
        noise = detector.analyze(
            loaded.pixels, segments=segments, mask=hidden, data_range=data_range
        )
        if map_file is not None:
            _write_map(map_file, noise)
        found.append((printable(path.name), noise))
        return {
            "image": str(path),
            "format": loaded.format,
            "shape": list(loaded.pixels.shape),
            "dtype": str(loaded.pixels.dtype),
            "map": None if map_file is None else str(map_file),
            "noise": noise.to_dict(),
        }

    outcome = each_image(paths, work)
    if as_json:
        outcome.emit_json()
    elif found:
        _print_table(found)
        if map_file is not None:
            print()
            print(printable(str(map_file)))
    return outcome.exit_code()


def _write_map(path: Path, noise: NoiseAnalysis) -> None:
    from helicopter.io import atomic_open, write_image

    if path.suffix.lower() != ".png":
        write_image(path, noise.sigma_map)
        return
    from helicopter.plotting import map_figure, noise_map_title, noise_unit

    figure = map_figure(noise.sigma_map, noise_map_title(), noise_unit(noise))
    with atomic_open(path) as file:
        figure.savefig(file, format="png")


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
            "infinite" if np.isposinf(noise.snr_db) else f"{noise.snr_db:.1f} dB",
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
