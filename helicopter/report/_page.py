"""The report of an analysis: one page that needs nothing else, and its plots as PNG files."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from helicopter._shared.interruptible import interruptible
from helicopter._version import __version__
from helicopter.core.results._analysis import Analysis
from helicopter.core.results._autonomous import AutonomousAnalysis, IterationRecord
from helicopter.errors import InvalidImageError, InvalidOptionError
from helicopter.io import atomic_open, together, write_image
from helicopter.io._atomic import real_path
from helicopter.plotting import (
    DARK,
    LIGHT,
    QUALITY_COLOURS,
    blank_hidden,
    displayable,
    figure_png,
    map_figure,
    noise_details_figure,
    noise_unit,
    outlined_regions,
    plot_result,
    quality_figure,
    shrink,
    shrink_labels,
    shrink_mask,
    tinted_segments,
    unit_of,
    verification_figure,
)
from helicopter.plotting._figures import common_top
from helicopter.plotting._style import nice_top

from . import REPORT_FILES
from . import _noise_wording as noise_wording
from . import _parts_wording as parts_wording
from . import _verification_wording as verification_wording
from . import _wording as wording
from ._advice import advice
from ._rendering import colour_stops, figure_uri, map_uri, picture_uri, render

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from matplotlib.figure import Figure as Plot
    from numpy.typing import NDArray

    from helicopter._shared.result import Result
    from helicopter.core.results._noise import NoiseAnalysis
    from helicopter.core.results._parts import AnomalyAnalysis, SegmentAwareReconstruction
    from helicopter.core.results._verification import Verification


__all__ = [
    "Overlay",
    "ReportFiles",
    "Shape",
    "overlay",
    "write_report",
]

_LONGEST = 1400
_LONGEST_MAP = 900
_MOST_ROWS = 400


@dataclass(frozen=True)
class ReportFiles:
    """Where a report lies: the page, and the plots beside it."""

    html: Path
    plots: tuple[Path, ...]


def write_report(
    analysis: Analysis | AutonomousAnalysis,
    image: NDArray[Any],
    folder: str | os.PathLike[str],
    *,
    name: str = "image",
    options: Mapping[str, Any] | None = None,
    icc_profile: bytes | None = None,
    data_range: tuple[float, float] | None = None,
    verification: Verification | None = None,
) -> ReportFiles:
    """Write ``report.html`` and its plots into a folder.

    The page is one file: no network, no scripts but a few lines of its own, the pictures inside,
    at most 1400 pixels a side. It can be mailed. All files are written whole or none of them; an
    earlier report in the folder is replaced, with its plots.

    Parameters
    ----------
    analysis : Analysis or AutonomousAnalysis
        What was found. An `AutonomousAnalysis` has nothing to say of noise, parts and anomalies.
    image : ndarray
        The image that was analysed.
    folder : str or path-like
        Made if it does not exist.
    name : str, default "image"
        What the page calls the image, the file name for instance. Escaped.
    options : mapping, optional
        Further options of the run, listed on the page (the seed, say). Escaped. A
        ``"target_quality"`` is drawn into the curve as well; a true ``"open_book"`` makes the
        page count the revealed patches as shown.
    icc_profile : bytes, optional
        The image's colour profile, so that a browser shows its colours as they are.
    data_range : (float, float), optional
        As given to the analysis.
    verification : Verification, optional
        Whether the evidence is enough; by default that of the analysis, if it has one.

    Returns
    -------
    ReportFiles
    """
    result = analysis.autonomous if isinstance(analysis, Analysis) else analysis
    whole = analysis if isinstance(analysis, Analysis) else None
    given: object = result  # a caller may pass anything
    if not isinstance(given, AutonomousAnalysis):
        raise InvalidOptionError(
            f"analysis must be an Analysis or AutonomousAnalysis, got {type(given).__name__}"
        )
    if image.shape[:2] != result.hidden_mask.shape:
        raise InvalidImageError(
            f"image is not the one that was analysed: its shape is {image.shape}, "
            f"the analysis is of {result.hidden_mask.shape}"
        )
    target = _checked_folder(folder)
    options = dict(options or {})
    if data_range is not None:
        options["data_range"] = data_range
    hidden = wording.still_hidden(result, options)
    original = shrink(displayable(image, data_range), _LONGEST)
    pictures = {
        "original": original,
        "shown": blank_hidden(original, shrink_mask(hidden, _LONGEST)),
        "redrawn": shrink(displayable(result.reconstruction, data_range), _LONGEST),
    }
    page = target / "report.html"
    found = (result, whole, analysis.verification if verification is None else verification)
    # in another thread, since it is half drawing: see figure_png
    html = interruptible(
        lambda: _page(*found, analysis.seconds, pictures, name, options, icc_profile)
    )
    with together(target, instead_of=REPORT_FILES if page.is_file() else ()):
        plots = _write_plots(*found, pictures, target, options, icc_profile)
        with atomic_open(page) as file:
            file.write(html.encode("utf-8"))
    return ReportFiles(page, plots)


def _checked_folder(folder: str | os.PathLike[str]) -> Path:
    """Make what a folder stands in; the folder itself is made with all that is in it."""
    target = Path(folder)
    try:
        real_path(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not target.is_dir():
            raise FileExistsError(errno.EEXIST, "it is a file")
    except OSError as error:
        raise InvalidOptionError(
            f"cannot make the folder {str(target)!r}: {error.strerror}; choose another"
        ) from error
    return target


def _page(
    result: AutonomousAnalysis,
    whole: Analysis | None,
    verification: Verification | None,
    seconds: float,
    pictures: Mapping[str, NDArray[np.uint8]],
    name: str,
    options: Mapping[str, Any],
    icc_profile: bytes | None,
) -> str:
    top = common_top(result)
    hidden = result.hidden_mask
    goal = options.get("target_quality")
    return render(
        "report.html.j2",
        name=_printable(name),
        version=__version__,
        verdict=wording.verdict(result, options),
        caution=wording.caution(result),
        headline=wording.headline_figures(result, options),
        figures=wording.other_figures(result, seconds, options),
        pictures={key: picture_uri(value, icc_profile) for key, value in pictures.items()},
        width=hidden.shape[1],
        height=hidden.shape[0],
        scaled=max(hidden.shape) > _LONGEST,
        maps={
            "uncertainty": map_uri(result.uncertainty_map, hidden, top, _LONGEST_MAP),
            "error": map_uri(result.error_map, hidden, top, _LONGEST_MAP),
        },
        scale=_scale(top),
        stops=colour_stops(),
        unit=unit_of(result.reconstruction),
        advice=None if whole is None else advice(whole, options.get("data_range")),
        parts=None
        if whole is None or whole.segments is None
        else _parts_section(whole.segments, icc_profile),
        anomalies=None
        if whole is None or whole.anomalies is None
        else _anomaly_section(whole.anomalies, pictures["original"], icc_profile),
        noise=None if whole is None else _noise_section(whole.noise, result),
        evidence=None if verification is None else _evidence_section(verification, result),
        curve={
            "light": figure_uri(quality_figure(result, LIGHT, target=goal)),
            "dark": figure_uri(quality_figure(result, DARK, target=goal)),
        },
        rows=_rows(result.history),
        row_count=len(result.history),
        captions=wording.captions(result, options),
    )


def _noise_section(noise: NoiseAnalysis, result: AutonomousAnalysis) -> dict[str, Any]:
    seen = np.isfinite(noise.sigma_map)
    top = nice_top(noise.sigma_map)
    return {
        "sentences": noise_wording.noise_sentences(noise, result),
        "map": map_uri(noise.sigma_map, seen, top, _LONGEST_MAP),
        "left_out": not bool(seen.all()),
        "scale": _scale(top),
        "unit": noise_unit(noise),
        "caption": noise_wording.noise_caption(noise),
        "light": figure_uri(noise_details_figure(noise, LIGHT)),
        "dark": figure_uri(noise_details_figure(noise, DARK)),
        "kinds": noise_wording.kind_rows(noise),
    }


def _parts_section(parts: SegmentAwareReconstruction, icc_profile: bytes | None) -> dict[str, Any]:
    texts = {
        number: parts_wording.describe_segment(one) for number, one in enumerate(parts.segments)
    }
    return {
        "sentences": parts_wording.segment_sentences(parts),
        "picture": picture_uri(tinted_segments(parts, _LONGEST_MAP), icc_profile),
        "overlay": overlay(parts.labels, texts),
        "stops": colour_stops(QUALITY_COLOURS),
        "rows": parts_wording.segment_rows(parts),
        "count": len(parts.segments),
    }


def _anomaly_section(
    anomalies: AnomalyAnalysis, original: NDArray[np.uint8], icc_profile: bytes | None
) -> dict[str, Any]:
    texts = {region.label: parts_wording.describe_region(region) for region in anomalies.regions}
    return {
        "sentences": parts_wording.anomaly_sentences(anomalies),
        "overlay": overlay(anomalies.labels, texts),
        "picture": picture_uri(outlined_regions(anomalies.detected, original), icc_profile),
        "rows": parts_wording.anomaly_rows(anomalies),
        "count": len(anomalies.regions),
    }


def _evidence_section(verification: Verification, result: AutonomousAnalysis) -> dict[str, Any]:
    possible = verification_wording.possible_looks(result)
    return {
        "sentences": verification_wording.report_sentences(verification, possible),
        "figures": verification_wording.verification_figures(verification),
        "caption": verification_wording.trajectory_caption(verification),
        "light": figure_uri(verification_figure(verification, LIGHT)),
        "dark": figure_uri(verification_figure(verification, DARK)),
    }


def _write_plots(
    result: AutonomousAnalysis,
    whole: Analysis | None,
    verification: Verification | None,
    pictures: Mapping[str, NDArray[np.uint8]],
    folder: Path,
    options: Mapping[str, Any],
    icc_profile: bytes | None,
) -> tuple[Path, ...]:
    written = []
    unit, top = unit_of(result.reconstruction), common_top(result)
    for key, title in (("original", "original"), ("shown", "what-was-shown")):
        path = folder / f"{title}.png"
        write_image(path, pictures[key], icc_profile=icc_profile)
        written.append(path)
    plots: dict[str, Callable[[], Plot]] = {
        "uncertainty.png": lambda: map_figure(
            result.uncertainty_map,
            "Uncertainty (predicted standard deviation)",
            unit,
            where=result.hidden_mask,
            top=top,
        ),
        "error.png": lambda: map_figure(
            result.error_map,
            "Error (absolute, mean of the channels)",
            unit,
            where=result.hidden_mask,
            top=top,
        ),
        "quality.png": lambda: quality_figure(result, target=options.get("target_quality")),
        "overview.png": lambda: plot_result(result),
    }
    parts: dict[str, Result | None] = {"verification.png": verification}
    if whole is not None:
        parts |= {"noise.png": whole.noise, "segments.png": whole.segments}
        parts |= {"anomalies.png": whole.anomalies}
    for file_name, part in parts.items():
        if part is not None:
            plots[file_name] = partial(plot_result, part)
    for file_name, draw in plots.items():
        with atomic_open(folder / file_name) as file:
            file.write(figure_png(draw))
        written.append(folder / file_name)
    return tuple(written)


def _rows(history: tuple[IterationRecord, ...]) -> list[dict[str, str] | None]:
    """Return the table's rows; ``None`` stands for those left out of a very long one."""
    kept: list[IterationRecord | None] = list(history)
    if len(history) > _MOST_ROWS:
        half = _MOST_ROWS // 2
        kept = [*history[:half], None, *history[-half:]]
    return [
        None
        if record is None
        else {
            "iteration": str(record.iteration),
            "patches": str(len(record.patches)),
            "strategy": record.strategy.replace("_", " "),
            "quality": _score(record.quality),
            "cumulative": _score(record.cumulative_quality),
            "confidence": f"{100 * record.confidence:.0f} %",
        }
        for record in kept
    ]


def _score(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "not scored"


def _scale(top: float) -> list[str]:
    values = [top * share for share in (0, 0.25, 0.5, 0.75, 1)]
    return [f"{value:,.0f}" if top >= 100 else f"{value:.3g}" for value in values]


def _printable(name: str) -> str:
    # a name that is not valid UTF-8 comes from the file system with surrogates, which no page holds
    return name.encode("utf-8", "replace").decode("utf-8")


#: Shapes are drawn on a grid of at most so many cells a side: enough to point at, and small.
_LONGEST_OVERLAY = 400


class Shape(NamedTuple):
    """One region: the outline in SVG's words, and what is said of it."""

    path: str
    text: str


class Overlay(NamedTuple):
    """Shapes, and the size of the grid that they are drawn on."""

    width: int
    height: int
    shapes: tuple[Shape, ...]


def overlay(labels: NDArray[np.int32], texts: Mapping[int, str]) -> Overlay:
    """Return a shape for each label that has a text; none for labels too small to be pointed at."""
    small = shrink_labels(labels, _LONGEST_OVERLAY)
    height, width = small.shape
    # runs of one label within a row, each as a rectangle one cell high
    begins = np.ones((height, width), dtype=bool)
    begins[:, 1:] = small[:, 1:] != small[:, :-1]
    start = np.flatnonzero(begins)
    length = np.diff(np.append(start, small.size))
    rows, columns = np.divmod(start, width)
    paths: dict[int, list[str]] = {label: [] for label in texts}
    for label, x, y, run in zip(
        small.ravel()[start].tolist(),
        columns.tolist(),
        rows.tolist(),
        length.tolist(),
        strict=True,
    ):
        if label in paths:
            paths[label].append(f"M{x} {y}h{run}v1h-{run}z")
    shapes = (Shape("".join(paths[label]), text) for label, text in texts.items())
    return Overlay(width, height, tuple(shape for shape in shapes if shape.path))
