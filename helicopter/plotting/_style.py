"""Colours and type of all figures, on light and on dark ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

__all__ = ["DARK", "LIGHT", "MAP_COLOURS", "Style", "new_figure"]

MAP_COLOURS = "inferno"
"""Perceptually uniform, readable for the colour-blind, and its brightness alone tells the value."""


@dataclass(frozen=True)
class Style:
    """What a figure is drawn in.

    The three series colours stay apart for the common kinds of colour blindness, and differ in
    line style as well.
    """

    ground: str
    ink: str
    faint: str
    shown: str
    series: tuple[str, str, str]

    def map_colours(self) -> Colormap:
        """Return the colour map of uncertainty and error, neutral where there is no value."""
        return colormaps[MAP_COLOURS].with_extremes(bad=self.shown)


LIGHT = Style("#ffffff", "#1f2328", "#d6d9de", "#e4e6ea", ("#0b6e99", "#c2570c", "#5b5f66"))
DARK = Style("#16181d", "#e6e8eb", "#3a3f47", "#2b2f36", ("#5cc3ec", "#ffa657", "#a5abb5"))


def new_figure(width: float, height: float, style: Style) -> Figure:
    """Return an empty figure, in inches, with a canvas of its own."""
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    figure = Figure(figsize=(width, height), dpi=110, layout=layout)
    FigureCanvasAgg(figure)
    figure.set_facecolor(style.ground)
    return figure


def dress(axes: Axes, style: Style) -> None:
    """Draw axes in the style's colours, with no more frame than a curve needs."""
    axes.set_facecolor(style.ground)
    axes.tick_params(colors=style.ink, labelsize=9, length=3)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(style.faint)
    axes.xaxis.label.set_color(style.ink)
    axes.yaxis.label.set_color(style.ink)
    axes.title.set_color(style.ink)


def nice_top(values: np.ndarray, share: float = 99.5) -> float:
    """Return where a colour scale ends: a few outliers must not darken all the rest.

    The end is rounded up to a number of which a quarter is round as well.
    """
    finite = values[np.isfinite(values)]
    top = float(np.percentile(finite, share)) if finite.size else 0.0
    if top <= 0 and finite.size:
        top = float(finite.max())
    if top <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(top))
    round_ends = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10)
    return float(power * next((end for end in round_ends if end * power >= top), 10))
