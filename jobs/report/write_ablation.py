"""Writes the page of an ablation; a driver imports this module of the package alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.ablation_cells import PathPair, Table
from jobs.ablation_runs import Arms
from jobs.report.ablation_figures import ablation_figures
from jobs.report.ablation_gather import ablation_facts
from jobs.report.page import filled, write_page

PAGE = "index.html"


def write_ablation_page(out: Path, runs: Mapping[str, Arms], tables: Sequence[Table], pairs: Sequence[PathPair]) -> Path:
    """Write ``out/index.html``, whole or not at all, and return it; it holds the tables, and what else the runs left."""
    facts = ablation_facts(runs, tables, pairs)
    return write_page(out / PAGE, filled("ablation.html.jinja", ablation_figures(facts), facts=facts))
