"""Figures of segments: how well each follows from itself, over the image that they cut up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure  # noqa: TC002 - singledispatch reads it at run time

from helicopter.core.results._segments import (
    SEGMENT_TYPES,
    SegmentAwareReconstruction,
    SegmentReconstruction,
)
from helicopter.core.segments._types import EFFORTS

from ._display import blank_hidden, displayable, shrink, shrink_labels, shrink_mask
from ._figures import bars_figure, result_overview
from ._panels import LONGEST, draw_image
from ._style import Style, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["QUALITY_COLOURS", "draw_segments", "draw_types", "tinted_segments"]

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
