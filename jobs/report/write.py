"""Writes the report of a finished road. The one module of the package that a driver imports."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.own_data_road.road import Travelled
from jobs.report.gather import gather
from jobs.report.page import render
from jobs.stage import Context


def write_report(context: Context, travelled: Travelled, summary: Mapping[str, Any]) -> Path:
    """Write ``<root>/report/index.html``, whole or not at all, and return it. ``summary``: what summary.json holds."""
    page = context.places.report / "index.html"
    text = render(gather(context, travelled, summary, page))
    page.parent.mkdir(parents=True, exist_ok=True)
    draft = page.with_name(f".{page.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, page)
    return page
