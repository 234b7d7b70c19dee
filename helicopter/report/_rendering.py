"""Templates, pictures as data URIs, and results in a notebook: all that reaches a page."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import colormaps
from matplotlib.colors import to_hex
from PIL import Image

from helicopter._shared.result import Result
from helicopter.core.results._analysis import Analysis
from helicopter.core.results._noise import describe_kind
from helicopter.plotting import displayable, shrink, shrink_map
from helicopter.plotting._style import MAP_COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from helicopter.core.results._verification import Verification

__all__ = [
    "colour_stops",
    "figure_uri",
    "map_uri",
    "picture_uri",
    "render",
    "result_to_html",
]


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # autoescape for every template, whatever its suffix: file names are not ours
    return Environment(
        loader=PackageLoader("helicopter.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """Fill one of the templates; all values are escaped."""
    return _environment().get_template(template).render(**values)


def picture_uri(picture: NDArray[np.uint8], icc_profile: bytes | None = None) -> str:
    """Return a picture as a data URI.

    WebP at quality 92: a photograph is three times smaller than as PNG, with no visible loss.
    """
    buffer = io.BytesIO()
    image = Image.fromarray(picture)
    # a grey profile would not fit the RGB that WebP stores
    keep = icc_profile if picture.ndim == 3 and icc_profile else b""
    image.save(buffer, "WEBP", quality=92, method=4, icc_profile=keep)
    return _uri("image/webp", buffer.getvalue())


def map_uri(values: NDArray[np.float32], where: NDArray[np.bool_], top: float, longest: int) -> str:
    """Return a map in colours as a data URI; transparent where it has nothing to say."""
    reduced = shrink_map(values, longest, where)
    colours = colormaps[MAP_COLOURS].with_extremes(bad=(0, 0, 0, 0))
    coloured = colours(np.ma.masked_invalid(reduced / top), bytes=True)
    buffer = io.BytesIO()
    Image.fromarray(coloured).save(buffer, "WEBP", quality=90, alpha_quality=100, method=4)
    return _uri("image/webp", buffer.getvalue())


def figure_uri(figure: Figure) -> str:
    """Return a figure as an SVG data URI."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _uri("image/svg+xml", buffer.getvalue())


def colour_stops(name: str = MAP_COLOURS, count: int = 9) -> str:
    """Return the colours of the maps, for a CSS gradient."""
    colours = colormaps[name]
    return ", ".join(to_hex(colours(float(at))) for at in np.linspace(0, 1, count))


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


_LONGEST = 360


def result_to_html(result: Result) -> str:
    """Return an HTML fragment that describes a result; every value is escaped."""
    shown: Result = result.autonomous if isinstance(result, Analysis) else result
    rows: list[tuple[str, str]] = []
    picture = None
    for name, value in shown.items():
        if name == "reconstruction":
            picture = picture_uri(shrink(displayable(value), _LONGEST))
        rows.append((name, _text(value)))
    if isinstance(result, Analysis):
        noise = result.noise
        kinds = [describe_kind(kind, noise.parameters) for kind in noise.kinds]
        rows.append(("noise", f"{noise.level}: sigma {noise.sigma:.3g}, {', '.join(kinds)}"))
        rows.append(("evidence", _evidence(result.verification)))
    return render("fragment.html.j2", title=type(result).__name__, rows=rows, picture=picture)


def _evidence(verification: Verification | None) -> str:
    if verification is None:
        return "nothing was scored"
    return (
        f"{verification.decision} ({verification.state}): probability "
        f"{verification.understanding_probability:.4g}"
    )


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array, {' x '.join(map(str, value.shape))}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (tuple, list)):
        if all(isinstance(item, (int, float)) for item in value):
            return ", ".join(_text(item) for item in value)
        if all(isinstance(item, str) for item in value):
            return ", ".join(value)
        return f"{len(value)} items"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, Result):
        return type(value).__name__
    return str(value)
