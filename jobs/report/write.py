"""Writes the report of a finished road. The one module of the package that a driver imports."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.own_data_road.road import Travelled
from jobs.report.gather import gather
from jobs.report.page import render, write_page
from jobs.stage import Context


def write_report(context: Context, travelled: Travelled, summary: Mapping[str, Any]) -> Path:
    """Write ``<root>/report/index.html``, whole or not at all, and return it. ``summary``: what summary.json holds."""
    page = context.places.report / "index.html"
    return write_page(page, render(gather(context, travelled, summary, page)))
