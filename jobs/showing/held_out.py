"""Prints how an encoder ranked held-out targets: beside the baselines, by slice, and what else was measured of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from jobs.held_out_figures import ENCODER, ENCODER_AND_QUERY
from jobs.showing.printing import table_of
from karma.evaluation.ranks import CUTOFFS

_CUTS = [f"HR@{k}" for k in CUTOFFS]
_SLICED = (ENCODER, ENCODER_AND_QUERY, "co+text")
"""Methods shown for every slice of the targets; summary and page have all."""
_INTERVALS = {"gAUC": "value", "decodability": "mean", "title among decoys": "mean"}
"""By the name of a measure with an interval: where its value lies."""


def print_held_out(console: Console, figures: Mapping[str, Any], title: str) -> None:
    """``figures`` of ``held_out_figures.figures_of``: rates by method, then of the slices, then the encoder's paired differences."""
    methods = {name: rates for name, rates in figures.items() if isinstance(rates, Mapping) and _CUTS[0] in rates}
    lines = [(name, *_cells(rates)) for name, rates in methods.items()]
    for name, of_slice in [*figures["slices"].items(), ("a typed query", figures["query"])]:
        lines += [(f"{name}, n = {of_slice['n']:,}: {method}", *_cells(of_slice[method])) for method in _SLICED if method in of_slice]
    told = f"{title}: n = {figures['n']}, {figures['dropped']} dropped, seen items {figures['seen_items']}"
    console.print(table_of(told, ("method", *_CUTS), lines))
    against = [(f"{ENCODER} minus {name}", *_differences(by_cut)) for name, by_cut in figures["differences"].items()]
    asked = figures["query"].get("differences", {}).items()
    against += [(f"{ENCODER_AND_QUERY} minus {name}, n = {figures['query']['n']:,}", *_differences(by_cut)) for name, by_cut in asked]
    console.print(table_of("Paired over users, 95 %", ("difference", *_CUTS), against))


def print_measures(console: Console, figures: Mapping[str, Any]) -> None:
    """What evaluate-encoder measures beside rates, as far as it was measured; the page says what each means."""
    days = figures.get("age", {}).get("days", {}).items()
    if days:
        console.print(table_of("By age of the vector", ("days", *_CUTS), [(day, *_cells(rates)) for day, rates in days]))
    for name, value in _INTERVALS.items():
        told = figures.get(name, {})
        if told.get(value) is not None:
            interval = f" [{told['low']:.3f}, {told['high']:.3f}]" if told.get("low") is not None else ""  # of one group there is none
            console.print(f"{name}: {told[value]:.3f}{interval}, n = {told['n']:,}", highlight=False, markup=False)
    if missing := figures.get("days_not_ingested"):
        console.print(f"days of the window that are not ingested: {len(missing)}, {missing[0]} to {missing[-1]}", highlight=False)


def _differences(by_cut: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [f"{d['mean']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}]" if (d := by_cut.get(cut)) else "n/a" for cut in _CUTS]


def _cells(rates: Mapping[str, float | None]) -> Sequence[str]:
    return ["n/a" if (rate := rates[cut]) is None else f"{rate:.3f}" for cut in _CUTS]
