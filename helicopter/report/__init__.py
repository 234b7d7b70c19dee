"""Reports: a self-contained page for an analysis, and a fragment for a notebook."""

from __future__ import annotations

from helicopter.report.fragment import result_to_html
from helicopter.report.page import ReportFiles, write_report

__all__ = ["ReportFiles", "result_to_html", "write_report"]
