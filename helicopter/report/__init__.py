"""Reports: a self-contained page for an analysis, and a fragment for a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._page import ReportFiles, write_report
    from ._rendering import result_to_html

__all__ = ["REPORT_FILES", "ReportFiles", "result_to_html", "write_report"]

REPORT_FILES = (
    "report.html",
    "original.png",
    "what-was-shown.png",
    "uncertainty.png",
    "error.png",
    "quality.png",
    "overview.png",
    "noise.png",
    "segments.png",
    "anomalies.png",
    "verification.png",
)
"""All that a report may consist of; which of the plots, the analysis tells."""

# Loaded on first use: the wordings are wanted by the command line as well, which draws nothing.
_HOME = {
    "ReportFiles": "helicopter.report._page",
    "result_to_html": "helicopter.report._rendering",
    "write_report": "helicopter.report._page",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'helicopter.report' has no attribute {name!r}")
