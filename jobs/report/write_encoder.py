"""Writes the page of a judged encoder; a driver imports this module of the package, or ``write``, alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.held_out_figures import Judgement
from jobs.report import from_summary
from jobs.report.clouds import cloud_of
from jobs.report.encoder_facts import Attention, EncoderFacts, EncoderHeading
from jobs.report.encoder_figures import encoder_figures
from jobs.report.encoder_people import judged_people
from jobs.report.measures_in_words import ages, measures_in_words
from jobs.report.page import filled, write_page
from karma.evaluation.sinks import Sinks

SAMPLE = 2_000
"""Vectors of each cloud that are drawn."""


def encoder_page(root: Path, version: str) -> Path:
    """Where the page of an encoder lies, under the folder of reports."""
    return root / f"encoder-{version}" / "index.html"


def write_encoder_report(
    page: Path, heading: EncoderHeading, figures: Mapping[str, Any], judged: Judgement, sinks: Sinks | None, training: Path
) -> Path:
    """Write ``page``, whole or not at all, and return it.

    Args:
        figures: of ``held_out_figures``, ``encoder_measures`` and ``knowledge_measures``, together.
        training: ``training/<version>/`` of the encoder, which may be gone.
    """
    clouds = {"interests": judged.found.interest_vectors, "items": judged.found.item_vectors}
    facts = EncoderFacts(
        heading=heading,
        judged=from_summary.judged(figures),
        clouds=tuple(cloud_of(name, of[:: max(1, len(of) // SAMPLE)], len(of)) for name, of in clouds.items()),
        measures=measures_in_words(figures),
        ages=ages(figures),
        attention=None if sinks is None else Attention(mean_map=sinks.mean_map.numpy(), histories=sinks.strongest.shape[1]),
        people=judged_people(judged, training),
    )
    return write_page(page, filled("encoder.html.jinja", encoder_figures(facts), facts=facts))
