"""Facts of a judged encoder, made by hand; figures as ``evaluate-encoder`` writes them into the ledger."""

from dataclasses import replace
from typing import Any

import numpy as np

from jobs.report import from_summary
from jobs.report.clouds import cloud_of
from jobs.report.encoder_facts import Attention, EncoderFacts, EncoderHeading
from jobs.report.facts import Line, Person
from jobs.report.measures_in_words import ages, measures_in_words
from tests.report.made_facts import vectors

RATES = {"HR@10": 0.125, "HR@50": 0.25, "HR@200": None}
METHODS = {"encoder": {"HR@10": 0.5, "HR@50": 0.75, "HR@200": None}, "popularity": RATES}
DIFFERENCE = {"mean": 0.5, "low": 0.25, "high": 0.75}

FIGURES: dict[str, Any] = {
    **METHODS, "n": 40, "dropped": 3, "corpus": 100, "seen_items": "kept",
    "differences": {"popularity": {"HR@10": {"mean": -0.1, "low": -0.2, "high": 0.1}, "HR@50": DIFFERENCE}},
    "slices": {
        "cold items": {"n": 12, **METHODS},
        "histories of 1 to 9 events": {"n": 400, **METHODS, "interval": {"mean": 0.75, "low": 0.7, "high": 0.8125}},
    },
    "query": {"n": 9, **METHODS, "differences": {"encoder": {"HR@50": DIFFERENCE}}},
    "age": {
        "n": 31, "days": {age: {"HR@10": 0.5 - int(age) / 100, "HR@50": 0.75, "HR@200": None} for age in ("0", "1", "3", "7", "14")},
        "differences": {"1": {"HR@10": {"mean": -0.01, "low": -0.02, "high": 0.005}}},
    },
    "JS@50": {"n": 40, "encoder": 0.321, "popularity": 0.05, "difference": DIFFERENCE},
    "gAUC": {"n": 20, "value": 0.654, "low": 0.601, "high": 0.702, "dropped": 7, "impressions": 900},
    "cold": {
        "n": 12, "cold items": 60, "among their own kind": {"warm": 0.7, "cold": 0.444}, "at an equal share": {"warm": 0.6, "cold": 0.222},
        "share": 0.6, "raw share": 0.9, "offset": -0.1,
    },
    "spread": {"interests": {"effective rank": 12.0, "mean cosine": 0.1, "uniformity": -2.345}, "items": {}},
    "decodability": {"n": 20, **DIFFERENCE, "nats a token": 4.0},
    "title among decoys": {"n": 20, "mean": 0.111, "low": 0.1, "high": 0.12, "chance": 1 / 101},
    "categories of items": {"n": 9, "macro AP": 0.888, "chance": 0.2},
    "sinks": {"n": 16, "score": 0.0625},
}  # fmt: skip
NOTHING = {"n": 0}
UNMEASURED = {
    **FIGURES, "differences": {}, "slices": {}, "query": NOTHING, "age": NOTHING, "JS@50": NOTHING, "gAUC": NOTHING,
    "cold": {"n": 0, "why": "there are too few items of a kind"}, "spread": {"interests": {}, "items": {}}, "decodability": NOTHING,
    "title among decoys": NOTHING, "categories of items": NOTHING, "sinks": NOTHING,
}  # fmt: skip


def encoder_facts(figures: dict[str, Any] = FIGURES, *, title: str = "A film", **changes: Any) -> EncoderFacts:
    """An encoder that was judged on everything; ``changes`` replace whole parts."""
    whole = EncoderFacts(
        heading=EncoderHeading(
            version="small-1", space_id="0123456789abcdef", trained_until="2026-01-31 00:00 UTC", window="the 28 days to 2026-02-28",
            not_ingested=(), ran_at="2026-03-01 00:00 UTC",
        ),
        judged=from_summary.judged(figures),
        clouds=(cloud_of("interests", vectors(40), 40), cloud_of("items", vectors(60, seed=1), 100)),
        measures=measures_in_words(figures),
        ages=ages(figures),
        attention=Attention(mean_map=np.tril(np.ones((33, 33))) / np.arange(1, 34)[:, None], histories=16),
        people=(
            Person(
                user_id="u0", history_len=2, history=(Line(text=f"click: {title}", image=False),),
                nearest=(Line(text=title, image=False, cosine=0.9),), took_next=Line(text=f"next {title}", image=False, cosine=0.5),
                rank=17, written=f"like {title}",
            ),
        ),
    )  # fmt: skip
    return replace(whole, **changes)
