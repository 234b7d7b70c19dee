"""A result in a notebook: its figures, and a small picture where it has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from helicopter._shared.result import Result
from helicopter.core.results._analysis import Analysis
from helicopter.core.results._noise import describe_kind
from helicopter.plotting import displayable, shrink

from ._rendering import picture_uri, render

if TYPE_CHECKING:
    from helicopter.core.results._verification import Verification

__all__ = ["result_to_html"]

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
