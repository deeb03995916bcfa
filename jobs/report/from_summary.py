"""The part of the page that stands in the summary: arrivals, gates, figures on held-out targets, places."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jobs.report.facts import DECISIVE, Arrival, Difference, Gate, Judged, Rates, Slice

_REFUSED_OF_A_REASON = "quarantined_"
Figures = Mapping[str, Any]


def arrivals(ingested: Mapping[str, Mapping[str, int]]) -> tuple[Arrival, ...]:
    """One a table, from the counts of its bulk load."""
    shown = {"read", "accepted", "quarantined", "written"}
    return tuple(
        Arrival(
            table=table,
            read=counts.get("read", 0),
            accepted=counts.get("accepted", 0),
            refused=counts.get("quarantined", 0),
            also={name: n for name, n in sorted(counts.items()) if n and name not in shown and not name.startswith(_REFUSED_OF_A_REASON)},
        )
        for table, counts in sorted(ingested.items())
    )


def gates(verdicts: list[Figures], page: Path) -> tuple[Gate, ...]:
    """The verdicts in their order; links are relative to the folder of ``page``."""
    return tuple(_gate(verdict, page) for verdict in verdicts)


def _gate(verdict: Figures, page: Path) -> Gate:
    rules = dict(rule.split("=", 1) for rule in verdict["details"].get("rules", "").split(", ") if "=" in rule)
    docs = verdict["details"].get("data_docs")
    return Gate(
        ds=verdict["ds"],
        job=verdict["job"],
        verdict=verdict["verdict"],
        reason=verdict["reason"] or "",
        rows=verdict["counts"].get("rows", verdict["counts"].get("contents")),
        rules=dict(sorted(Counter(rules.values()).items())),
        failed=tuple(name for name, word in rules.items() if word not in ("passed", "not_applicable")),
        data_docs=relative(docs, page) if docs else None,
    )


def relative(place: str, page: Path) -> str:
    """``place`` as seen from the folder of ``page``; a URI stays as it is."""
    return place if "://" in place else Path(os.path.relpath(place, page.parent)).as_posix()


def judged(figures: Figures) -> Judged:
    """The figures of a leave-last-out run (``jobs.held_out_figures``)."""
    differences = tuple(
        Difference(baseline=name, cut=cut, **of) for name, by_cut in figures.get("differences", {}).items() for cut, of in by_cut.items()
    )
    return Judged(
        whole=_slice("all targets", figures),
        dropped=figures.get("dropped", 0),
        corpus=figures.get("corpus", 0),
        seen_items=str(figures.get("seen_items", "")),
        differences=differences,
        groups=tuple(_groups(figures)),
    )


def _groups(figures: Figures) -> Iterator[tuple[str, tuple[Slice, ...]]]:
    """What stands beside the figures of all targets; what has no targets is left out."""
    groups = {
        "Slices": figures.get("slices", {}),
        "With the query typed last": {"targets with a query": figures.get("query", {})},
        "The other policy": {"all targets": figures.get("other_policy", {})},
    }
    for title, members in groups.items():
        if found := tuple(_slice(name, of) for name, of in members.items() if _methods(of)):
            yield title, found


def _methods(figures: Figures) -> dict[str, Rates]:
    return {
        str(name): {str(cut): rate for cut, rate in rates.items() if str(cut).startswith("HR@")}
        for name, rates in figures.items()
        if isinstance(rates, Mapping) and any(str(cut).startswith("HR@") for cut in rates)
    }


def _slice(name: str, figures: Figures) -> Slice:
    said = {key: value for key, value in figures.items() if isinstance(value, (str, int, float)) and key != "n"}
    judged = figures.get("interval")
    return Slice(
        name=name, n=figures.get("n"), rates=_methods(figures),
        notes=(*(f"{key.replace('_', ' ')}: {v}" for key, v in said.items()), *_with_intervals(figures)),
        interval=(judged["low"], judged["high"]) if judged else None,
    )  # fmt: skip


def _with_intervals(figures: Figures) -> Iterator[str]:
    if of := figures.get("interval"):
        yield f"the encoder's {DECISIVE}: {of['mean']:.3f} [{of['low']:.3f}, {of['high']:.3f}]"
    for cut, of in figures.get("differences", {}).get("encoder", {}).items():
        yield f"the query adds {of['mean']:+.3f} [{of['low']:+.3f}, {of['high']:+.3f}] at {cut}"
