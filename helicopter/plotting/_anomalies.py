"""Figures of anomalies: the image with what was declared outlined, and the map beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import patheffects
from matplotlib.colors import to_rgb
from PIL import Image
from scipy.ndimage import binary_dilation

from helicopter.core.results._anomalies import AnomalyAnalysis, AnomalyRegion

from ._display import displayable, shrink, shrink_map, shrink_mask
from ._figures import bars_figure, result_overview
from ._panels import LONGEST, draw_image, draw_map
from ._style import Style, new_figure, nice_top

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["MAP_UNIT", "anomaly_map_title", "draw_regions", "outlined_regions"]

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
