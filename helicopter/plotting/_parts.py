"""Figures of parts of an image: segments by quality, anomalies outlined and as a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps, patheffects
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import binary_dilation

from helicopter.core.results._parts import (
    SEGMENT_TYPES,
    AnomalyAnalysis,
    AnomalyRegion,
    SegmentAwareReconstruction,
    SegmentReconstruction,
)
from helicopter.core.segments._types import EFFORTS

from ._figures import bars_figure, result_overview
from ._panels import (
    LONGEST,
    blank_hidden,
    displayable,
    draw_image,
    draw_map,
    shrink,
    shrink_labels,
    shrink_map,
    shrink_mask,
)
from ._style import Style, dress, new_figure, nice_top

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "MAP_UNIT",
    "QUALITY_COLOURS",
    "anomaly_map_title",
    "draw_regions",
    "draw_segments",
    "draw_types",
    "outlined_regions",
    "tinted_segments",
]

#: Perceptually uniform, as the other maps, but bright where the quality is: bad news is dark.
QUALITY_COLOURS = "viridis"
#: What the darkest and the brightest colour stand for: limited, and perfect.
QUALITIES = (0.6, 1.0)
#: How much of the colour there is over the picture.
_OVER = 0.55


def tinted_segments(result: SegmentAwareReconstruction, longest: int) -> NDArray[np.uint8]:
    """Return the image in grey, each segment in the colour of its quality, and the borders between.

    Segments without a quality (nothing to score) stay grey. Shape (H, W, 3), at most `longest`
    pixels a side.
    """
    labels = shrink_labels(result.labels, longest)
    low, high = QUALITIES
    quality = (np.array([one.quality for one in result.segments]) - low) / (high - low)
    picture = shrink(displayable(result.reconstruction), longest)
    grey = picture if picture.ndim == 2 else picture[:, :, :3].mean(axis=2)
    shown = np.repeat(grey[:, :, None] / 255.0, 3, axis=2)
    over = colormaps[QUALITY_COLOURS](np.clip(np.nan_to_num(quality), 0, 1))[:, :3][labels]
    known = (~np.isnan(quality))[labels]
    shown[known] = (1 - _OVER) * shown[known] + _OVER * over[known]
    border = np.zeros(labels.shape, dtype=bool)
    border[:-1] |= labels[:-1] != labels[1:]
    border[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    shown[border] = 0.5 + 0.5 * shown[border]
    return np.asarray(np.rint(255 * shown), dtype=np.uint8)


def draw_segments(axes: Axes, result: SegmentAwareReconstruction, style: Style) -> None:
    """Draw how well each segment follows from itself, see `tinted_segments`, with its scale."""
    shown, colours = tinted_segments(result, LONGEST), colormaps[QUALITY_COLOURS]
    axes.imshow(shown, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title("Quality of each segment, from itself alone", fontsize=11, loc="left")
    axes.title.set_color(style.ink)
    scale = axes.figure.colorbar(
        ScalarMappable(Normalize(*QUALITIES), colours),
        cax=axes.inset_axes((1.02, 0.0, 0.03, 1.0)),
        extend="min",
    )
    scale.set_label("0.8: good; 0.95: excellent", color=style.ink, fontsize=9)
    scale.ax.tick_params(colors=style.ink, labelsize=8)
    scale.outline.set_visible(False)


def draw_types(axes: Axes, result: SegmentAwareReconstruction, style: Style) -> None:
    """Draw for each type how well its segments were redrawn: a dot for each, larger if it is."""
    dress(axes, style)
    names = [name for name in SEGMENT_TYPES if any(one.type == name for one in result.segments)]
    for row, name in enumerate(names):
        of_type = [one for one in result.segments if one.type == name and one.scored_pixels]
        share = np.array([one.area for one in of_type]) / result.labels.size
        # in rows of their own where many would cover each other
        spread = np.linspace(-0.28, 0.28, 5)[np.arange(len(of_type)) % 5]
        axes.scatter(
            [one.quality for one in of_type],
            row + spread,
            s=14 + 1500 * share,
            color=style.series[0],
            alpha=0.55,
            linewidths=0,
        )
        axes.plot([EFFORTS[name].target_quality] * 2, [row - 0.4, row + 0.4], color=style.series[1])
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("quality; the line is what the type asks for")
    axes.set_title("Quality by type, a dot for each segment", fontsize=11, loc="left")


@result_overview.register
def _(result: SegmentAwareReconstruction, style: Style) -> Figure:
    height, width = result.labels.shape
    aspect = float(np.clip(height / width, 0.4, 1.8))
    figure = new_figure(11, 2 * 4.6 * aspect + 1.3, style)
    shown, redrawn, skill, types = figure.subplots(2, 2).flat
    count = len(result.segments)
    figure.suptitle(
        f"{count} segment{'s' * (count != 1)}, each from itself: quality "
        f"{result.reconstruction_quality:.3f}, skill {result.skill:.2f}, "
        f"{100 * result.understood_share:.0f} % understood",
        color=style.ink,
        fontsize=13,
    )
    picture = shrink(displayable(result.reconstruction), LONGEST)
    blanked = blank_hidden(picture, shrink_mask(result.hidden_mask, LONGEST))
    draw_image(shown, blanked, "What was shown", style)
    draw_image(redrawn, picture, "Redrawn from it", style)
    draw_segments(skill, result, style)
    draw_types(types, result, style)
    return figure


@result_overview.register
def _(result: SegmentReconstruction, style: Style) -> Figure:
    numbers = {
        "quality": result.quality,
        "skill": result.skill,
        "confidence": result.confidence,
        "priority": result.priority,
    }
    known = {name: value for name, value in numbers.items() if not np.isnan(value)}
    return bars_figure(
        known, f"Segment {result.label} ({result.type}), {result.area} pixels", style
    )


MAP_UNIT = "0: the median, 1: 5 % of the image"
#: Bright on any picture, with a dark rim.
_OUTLINE, _RIM = "#ffd21f", "#16181d"
#: So many regions are numbered; more would hide the picture.
_NUMBERED = 30


def anomaly_map_title() -> str:
    """What the map of anomalies shows."""
    return "How unlike the rest of the image"


def draw_regions(axes: Axes, result: AnomalyAnalysis, style: Style) -> None:
    """Outline the regions on what is drawn there, and number them by rank."""
    height, width = result.detected.shape
    drawn = shrink_mask(result.detected, LONGEST)
    scale = drawn.shape[0] / height, drawn.shape[1] / width
    if drawn.any():
        framed = np.pad(drawn.astype(np.float32), 1)  # so that outlines close at the border
        rows, cols = np.arange(-1, drawn.shape[0] + 1), np.arange(-1, drawn.shape[1] + 1)
        for colour, wide in ((_RIM, 3.2), (_OUTLINE, 1.6)):
            axes.contour(cols, rows, framed, levels=[0.5], colors=[colour], linewidths=[wide])
        axes.set_xlim(-0.5, drawn.shape[1] - 0.5)
        axes.set_ylim(drawn.shape[0] - 0.5, -0.5)
    for region in result.regions[:_NUMBERED]:
        top, _, bottom, right = region.bounding_box
        # beside the region, or inside the picture where there is no room
        text = axes.annotate(
            str(region.label),
            (min(right, width - 1) * scale[1], (top + bottom) / 2 * scale[0]),
            xytext=(4 if right < 0.95 * width else -14, 0),
            textcoords="offset points",
            color=_OUTLINE,
            fontsize=10,
            fontweight="bold",
            va="center",
        )
        text.set_path_effects([patheffects.withStroke(linewidth=2.6, foreground=_RIM)])


def outlined_regions(detected: NDArray[np.bool_], picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture of an image with outlines around what was declared; shape (H, W, 3)."""
    height, width = picture.shape[:2]
    shown = np.array(picture if picture.ndim == 3 else np.dstack([picture] * 3))[:, :, :3]
    there = np.asarray(Image.fromarray(detected).resize((width, height), Image.Resampling.NEAREST))
    thick = max(1, max(height, width) // 400)
    for colour, reach in ((_RIM, 2 * thick), (_OUTLINE, thick)):
        rim = binary_dilation(there, np.ones((3, 3), bool), reach) & ~there
        shown[rim] = np.rint(255 * np.array(to_rgb(colour)))
    return shown


@result_overview.register(AnomalyAnalysis)
def _(result: AnomalyAnalysis, style: Style) -> Figure:
    height, width = result.anomaly_map.shape
    aspect = float(np.clip(height / width, 0.4, 1.8))
    figure = new_figure(12, 5.4 * aspect + 0.9, style)
    marked, heat = figure.subplots(1, 2)
    count = len(result.regions)
    what = "nothing declared" if not count else f"{count} region{'s' * (count > 1)} declared"
    figure.suptitle(
        f"{what} at level {result.level:g}, of {result.candidates} places tested",
        color=style.ink,
        fontsize=13,
    )
    if result._image is None:
        draw_map(marked, result.detected.astype(np.float32), "Declared", "", style, top=1.0)
    else:
        picture = shrink(displayable(result._image, result.data_range), LONGEST)
        draw_image(marked, picture, "Declared, by rank", style)
        draw_regions(marked, result, style)
    scores = shrink_map(result.anomaly_map, LONGEST)
    top = max(nice_top(scores), 1.0)
    with np.errstate(invalid="ignore"):
        above = np.maximum(result.anomaly_map, np.float32(0))  # what is usual is all the same
    draw_map(heat, above, anomaly_map_title(), MAP_UNIT, style, top=top)
    return figure


@result_overview.register(AnomalyRegion)
def _(result: AnomalyRegion, style: Style) -> Figure:
    top, left, bottom, right = result.bounding_box
    title = f"Region {result.label}: rows {top} to {bottom}, columns {left} to {right}"
    numbers = {"score": result.score, "probability": result.probability, "q-value": result.q_value}
    return bars_figure(numbers, title, style)
