"""Figures of results. Nothing here touches pyplot, so nothing is shown and no state is kept."""

from __future__ import annotations

from ._curves import draw_quality_curve, draw_understanding
from ._decisions import draw_policy, draw_values
from ._figures import map_figure, plot_result, quality_figure, result_overview
from ._noise import (
    draw_level_function,
    draw_scales,
    draw_spectrum,
    noise_details_figure,
    noise_map_title,
    noise_unit,
)
from ._panels import (
    blank_hidden,
    displayable,
    draw_image,
    draw_map,
    shrink,
    shrink_labels,
    shrink_map,
    shrink_mask,
    unit_of,
)
from ._parts import (
    QUALITY_COLOURS,
    anomaly_map_title,
    draw_regions,
    draw_segments,
    draw_types,
    outlined_regions,
    tinted_segments,
)
from ._saving import figure_png
from ._style import DARK, LIGHT, Style
from ._verification import (
    draw_boundaries,
    draw_probability,
    draw_reliability,
    draw_share,
    reliability_figure,
    verification_figure,
)

__all__ = [
    "DARK",
    "LIGHT",
    "QUALITY_COLOURS",
    "Style",
    "anomaly_map_title",
    "blank_hidden",
    "displayable",
    "draw_boundaries",
    "draw_image",
    "draw_level_function",
    "draw_map",
    "draw_policy",
    "draw_probability",
    "draw_quality_curve",
    "draw_regions",
    "draw_reliability",
    "draw_scales",
    "draw_segments",
    "draw_share",
    "draw_spectrum",
    "draw_types",
    "draw_understanding",
    "draw_values",
    "figure_png",
    "map_figure",
    "noise_details_figure",
    "noise_map_title",
    "noise_unit",
    "outlined_regions",
    "plot_result",
    "quality_figure",
    "reliability_figure",
    "result_overview",
    "shrink",
    "shrink_labels",
    "shrink_map",
    "shrink_mask",
    "tinted_segments",
    "unit_of",
    "verification_figure",
]
