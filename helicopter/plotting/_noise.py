"""Figures of the noise: where it is, its spectrum, how it grows with intensity and with scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from helicopter.core.results._noise import (
    NoiseAnalysis,
    NoiseLevel,
    NoiseLevelFunction,
    NoiseScale,
    SegmentNoise,
    describe_kind,
)

from ._figures import bars_figure, result_overview
from ._panels import draw_map, unit_of
from ._style import Style, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "draw_level_function",
    "draw_scales",
    "draw_spectrum",
    "noise_details_figure",
    "noise_map_title",
    "noise_unit",
]

#: So many peaks are marked, the strongest; more would hide the spectrum.
_MARKED = 6
#: What lies beyond these percentiles of the spectrum is drawn as they are.
_LOWEST, _HIGHEST = 0.5, 99.9


def noise_unit(noise: NoiseAnalysis) -> str:
    """Name what the image's intensities are counted in."""
    return unit_of(np.empty(0, noise.dtype))


def noise_map_title() -> str:
    """What the map of the noise shows."""
    return "Noise around each pixel (standard deviation)"


def draw_spectrum(axes: Axes, noise: NoiseAnalysis, style: Style) -> None:
    """Draw the power spectrum, and a ring around each peak of periodic noise that was found."""
    dress(axes, style)
    finite = noise.spectrum[np.isfinite(noise.spectrum)]
    low, high = np.percentile(finite, (_LOWEST, _HIGHEST)) if finite.size else (0.0, 1.0)
    # a bin's middle is its frequency, so the picture begins half a bin before -1/2
    half = 0.5 / max(1, len(noise.spectrum))
    ends = (-0.5 - half, 0.5 - half)
    axes.imshow(
        noise.spectrum,
        cmap=style.map_colours(),
        vmin=low,
        vmax=max(high, low + 1e-6),
        extent=(ends[0], ends[1], ends[1], ends[0]),
        interpolation="nearest",
    )
    waves = noise.parameters["periodic"]["components"] if "periodic" in noise.kinds else []
    for wave in waves[:_MARKED]:
        row, column = wave["frequency"]
        for sign in (1, -1):
            axes.plot(
                sign * column,
                sign * row,
                marker="o",
                markersize=13,
                markerfacecolor="none",
                markeredgecolor="#ffffff",
                markeredgewidth=1.4,
            )
        axes.annotate(
            f"{wave['period']:.3g} px",
            (column, row),
            xytext=(9, 9),
            textcoords="offset points",
            color="#ffffff",
            fontsize=9,
        )
    axes.set_xlim(*ends)
    axes.set_ylim(ends[1], ends[0])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks((-0.5, -0.25, 0, 0.25))
    axes.set_yticks((-0.5, -0.25, 0, 0.25))
    axes.set_xlabel("cycles per pixel, along the rows", fontsize=10)
    axes.set_ylabel("down the columns", fontsize=10)
    title = "Spectrum; rings: interference" if waves else "Spectrum (brighter: more power)"
    axes.set_title(title, fontsize=11, loc="left", color=style.ink)


def draw_level_function(axes: Axes, function: NoiseLevelFunction, unit: str, style: Style) -> None:
    """Draw sigma over intensity: what was measured, and the law that fits it."""
    dress(axes, style)
    points, law, _ = style.series
    known = function.measured
    intensity, sigma = function.intensity[known], function.sigma[known]
    if intensity.size:
        share = function.weight[known] / float(function.weight.max())
        axes.scatter(
            intensity,
            sigma,
            s=8 + 70 * share,
            color=points,
            alpha=0.8,
            linewidths=0,
            label="measured (larger: on more evidence)",
        )
        reach = np.linspace(intensity.min(), intensity.max(), 200)
        axes.plot(reach, function.at(reach), color=law, linewidth=2.0, label="Poisson-Gaussian fit")
        axes.legend(frameon=False, fontsize=9, labelcolor=style.ink, loc="lower right")
    axes.set_ylim(0, 1.25 * float(sigma.max(initial=0.0)) or 1.0)
    axes.set_xlabel(f"intensity ({unit})" if unit else "intensity", fontsize=10)
    axes.set_ylabel("standard deviation of the noise", fontsize=10)
    axes.grid(axis="y", color=style.faint, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_title("Noise over intensity", fontsize=11, loc="left", color=style.ink)


def draw_scales(axes: Axes, noise: NoiseAnalysis, style: Style) -> None:
    """Draw sigma over the scale, beside what white noise would do."""
    dress(axes, style)
    found, white, _ = style.series
    scales = [scale.scale for scale in noise.scales]
    sigma = np.array([scale.sigma for scale in noise.scales])
    axes.set_xscale("log", base=2)
    axes.set_ylim(0, 1)
    if (sigma > 0).all() and sigma.size:
        axes.set_yscale("log")
        axes.set_ylim(sigma.min() / 1.8, sigma.max() * 1.5)
        axes.plot(
            scales,
            sigma[0] / np.array(scales),
            color=white,
            linewidth=1.6,
            linestyle=(0, (4, 2)),
            label="if it were white",
            zorder=3,
        )
        axes.set_yticks(sigma, [f"{value:.3g}" for value in sigma])
        axes.minorticks_off()
    axes.plot(scales, sigma, color=found, linewidth=2.2, marker="o", label="this image")
    for scale in noise.scales:
        if math.isfinite(scale.snr_db):
            axes.annotate(
                f"{scale.snr_db:.0f} dB",
                (scale.scale, scale.sigma),
                xytext=(6, 6),
                textcoords="offset points",
                color=style.ink,
                fontsize=9,
            )
    axes.set_xticks(scales, [str(scale) for scale in scales])
    axes.margins(x=0.12)
    axes.legend(frameon=False, fontsize=9, labelcolor=style.ink, loc="lower left")
    axes.set_xlabel("averaged over squares of so many pixels", fontsize=10)
    axes.set_ylabel("standard deviation of the noise", fontsize=10)
    axes.grid(axis="y", color=style.faint, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_title(
        f"Noise over scale ({noise.noise_colour}), and signal above it",
        fontsize=11,
        loc="left",
        color=style.ink,
    )


def noise_details_figure(noise: NoiseAnalysis, style: Style) -> Figure:
    """Draw everything but the map: spectrum, noise level function, scales."""
    figure = new_figure(13.5, 4.6, style)
    spectrum, function, scales = figure.subplots(1, 3, width_ratios=(1, 1.15, 1.15))
    draw_spectrum(spectrum, noise, style)
    draw_level_function(function, noise.noise_level_function, noise_unit(noise), style)
    draw_scales(scales, noise, style)
    return figure


@result_overview.register(NoiseAnalysis)
def _(result: NoiseAnalysis, style: Style) -> Figure:
    height, width = result.sigma_map.shape
    aspect = float(np.clip(height / width, 0.6, 1.4))
    figure = new_figure(11.5, 5.0 * aspect + 5.2, style)
    figure.suptitle(
        f"noise {result.level}: sigma {result.sigma:.3g} "
        f"({result.sigma_interval[0]:.3g} to {result.sigma_interval[1]:.3g}), "
        f"SNR {_decibels(result.snr_db)}\n"
        + ", ".join(describe_kind(kind, result.parameters) for kind in result.kinds),
        color=style.ink,
        fontsize=13,
    )
    panels = figure.subplot_mosaic(
        [["map", "spectrum"], ["function", "scales"]], height_ratios=[5.0 * aspect, 4.2]
    )
    unit = noise_unit(result)
    draw_map(panels["map"], result.sigma_map, noise_map_title(), unit, style)
    draw_spectrum(panels["spectrum"], result, style)
    draw_level_function(panels["function"], result.noise_level_function, unit, style)
    draw_scales(panels["scales"], result, style)
    return figure


@result_overview.register(NoiseLevel)
def _(result: NoiseLevel, style: Style) -> Figure:
    numbers = {"all channels": result.sigma}
    if len(result.sigma_per_channel) == 3:
        numbers |= dict(zip(("red", "green", "blue"), result.sigma_per_channel, strict=True))
    low, high = result.sigma_interval
    title = f"Noise {result.level}: standard deviation, 90 % interval {low:.3g} to {high:.3g}"
    return bars_figure(numbers, title, style)


@result_overview.register(NoiseLevelFunction)
def _(result: NoiseLevelFunction, style: Style) -> Figure:
    figure = new_figure(7, 4.2, style)
    draw_level_function(figure.subplots(), result, "", style)
    return figure


@result_overview.register(NoiseScale)
def _(result: NoiseScale, style: Style) -> Figure:
    numbers = {"standard deviation": result.sigma, "power": result.power}
    title = f"Noise at scale {result.scale}, SNR {_decibels(result.snr_db)}"
    return bars_figure(numbers, title, style)


@result_overview.register(SegmentNoise)
def _(result: SegmentNoise, style: Style) -> Figure:
    title = f"Segment {result.label}: sigma {result.sigma:.3g} ({result.level}), {result.action}"
    numbers = {kind.replace("_", " "): p for kind, p in result.kind_probabilities.items()}
    return bars_figure(numbers, title.replace("_", " "), style)


def _decibels(value: float) -> str:
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return "undefined" if math.isnan(value) else f"{value:.1f} dB"
