"""Single panels: a picture, or a map with its colour bar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._display import displayable, shrink, shrink_map
from ._style import Style, nice_top

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["LONGEST", "draw_image", "draw_map"]

LONGEST = 1400


def draw_image(axes: Axes, image: NDArray[Any], title: str, style: Style) -> None:
    """Draw an image of any accepted dtype, its pixels square, without axes."""
    picture = shrink(displayable(image), LONGEST)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
    _picture_frame(axes, title, style)


def draw_map(
    axes: Axes,
    values: NDArray[np.float32],
    title: str,
    unit: str,
    style: Style,
    *,
    where: NDArray[np.bool_] | None = None,
    top: float | None = None,
) -> None:
    """Draw a map of non-negative values with a colour bar in their unit.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    values : float32 ndarray of shape (H, W)
        NaN is drawn neutral.
    title : str
        What the values are.
    unit : str
        What they are counted in.
    style : Style
        The colours.
    where : bool ndarray of shape (H, W), optional
        Elsewhere the map is neutral: a pixel that was shown has no uncertainty to speak of.
    top : float, optional
        Where the colour scale ends; by default where 99.5 % of the values lie below.
    """
    drawn = shrink_map(values, LONGEST, where)
    limit = nice_top(drawn) if top is None else top
    beyond = bool(np.nanmax(drawn, initial=0) > limit)
    image = axes.imshow(
        drawn,
        cmap=style.map_colours(),
        vmin=0,
        vmax=limit,
        interpolation="nearest",
    )
    _picture_frame(axes, title, style)
    # an inset keeps the bar as tall as the picture, whatever the picture's shape
    bar = axes.figure.colorbar(
        image,
        cax=axes.inset_axes((1.02, 0.0, 0.03, 1.0)),
        extend="max" if beyond else "neither",
    )
    bar.set_label(unit, color=style.ink, fontsize=9)
    bar.ax.tick_params(colors=style.ink, labelsize=8)
    bar.outline.set_visible(False)


def _picture_frame(axes: Axes, title: str, style: Style) -> None:
    axes.set_axis_off()
    axes.set_title(title, color=style.ink, fontsize=11, loc="left")
