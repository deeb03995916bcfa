"""What the summary says, read into facts: gates with their rules, and figures beside those of all targets."""

from pathlib import Path

import pytest

from jobs.report.facts import Slice
from jobs.report.from_summary import arrivals, gates, judged, relative

RATES = {"HR@10": 0.1, "HR@50": 0.2, "HR@200": None}
METHODS = {"encoder": RATES, "popularity": RATES}
WHOLE = {**METHODS, "n": 2, "dropped": 1, "corpus": 25, "seen_items": "masked", "differences": {}}
PAGE = Path("/out/report/index.html")


def test_counts_of_a_load_and_what_else_it_counted() -> None:
    counts = {"read": 5, "accepted": 3, "written": 3, "quarantined": 2, "quarantined_future": 2, "late": 1, "image_missing": 0}
    (row,) = arrivals({"events": counts})
    assert (row.table, row.read, row.accepted, row.refused, row.also, row.adds_up) == ("events", 5, 3, 2, {"late": 1}, True)


def test_rows_that_vanished_do_not_add_up() -> None:
    assert not arrivals({"events": {"read": 5, "accepted": 3, "quarantined": 1}})[0].adds_up


def test_a_verdict_with_its_rules() -> None:
    details = {"rules": "a.finite=passed, a.norm=failed, b.rank=not_applicable, b.norm=passed", "data_docs": "/out/data_docs/x/index.html"}
    verdict = {"job": "validate", "ds": "2026-02-08", "verdict": "blocked", "counts": {"rows": 40}, "details": details, "reason": "norm"}
    (gate,) = gates([verdict], PAGE)
    assert gate.rules == {"failed": 1, "not_applicable": 1, "passed": 2}
    assert (gate.failed, gate.rows, gate.data_docs, gate.passed) == (("a.norm",), 40, "../data_docs/x/index.html", False)


@pytest.mark.parametrize(("place", "seen"), [("/out/summary.json", "../summary.json"), ("s3://bucket/warehouse", "s3://bucket/warehouse")])
def test_places_are_seen_from_the_page(place: str, seen: str) -> None:
    assert relative(place, PAGE) == seen


def test_the_whole_alone() -> None:
    read = judged(WHOLE)
    assert (read.whole.n, read.whole.rates, read.dropped, read.corpus, read.seen_items) == (2, METHODS, 1, 25, "masked")
    assert (read.differences, read.groups) == ((), ())


COLD = Slice(name="cold items", n=12, rates=METHODS, notes=("share: 0.5",))


@pytest.mark.parametrize(
    ("key", "value", "group"),
    [
        ("slices", {"cold items": {**METHODS, "n": 12, "share": 0.5}}, ("Slices", (COLD,))),
        (
            "query",
            {**METHODS, "n": 2},
            ("With the query typed last", (Slice(name="targets with a query", n=2, rates=METHODS),)),
        ),
        (
            "other_policy",
            {**METHODS, "n": 2, "seen_items": "kept"},
            ("The other policy", (Slice(name="all targets", n=2, rates=METHODS, notes=("seen items: kept",)),)),
        ),
    ],
)
def test_other_sections(key: str, value: object, group: tuple[str, tuple[Slice, ...]]) -> None:
    read = judged({**WHOLE, key: value})
    assert read.groups == (group,)
    assert read.whole == judged(WHOLE).whole


def test_no_targets_with_a_query_are_no_section() -> None:
    assert judged({**WHOLE, "query": {"n": 0}, "slices": {}}).groups == ()


def test_a_difference_in_words() -> None:
    level, better = {"mean": 0.0, "low": -0.1, "high": 0.1}, {"mean": 0.2, "low": 0.1, "high": 0.3}
    differences = {"popularity": {"HR@10": level, "HR@50": better}, "co+text": {"HR@10": better, "HR@50": level}}
    read = judged({**WHOLE, "differences": differences})
    assert [(row.baseline, row.in_words) for row in read.decisive] == [
        ("popularity", "the encoder is better"), ("co+text", "no difference beyond luck"),
    ]  # fmt: skip
    assert (read.cuts, read.by_baseline["co+text"]["HR@10"].mean) == (("HR@10", "HR@50"), 0.2)
    small = judged({**WHOLE, "differences": {"co": {"HR@10": better}}})
    assert [row.cut for row in small.decisive] == ["HR@10"], "where 50 reaches the corpus the largest K decides"


def test_intervals_of_a_slice_and_of_what_a_query_adds_are_notes() -> None:
    of_slice = {"cold items": {**METHODS, "n": 200, "interval": {"mean": 0.2, "low": 0.15, "high": 0.25}}}
    query = {**METHODS, "n": 9, "differences": {"encoder": {"HR@10": {"mean": 0.1, "low": -0.05, "high": 0.25}}}}
    (_, (cut,)), (_, (asked,)) = judged({**WHOLE, "slices": of_slice, "query": query}).groups
    assert (cut.interval, cut.notes) == ((0.15, 0.25), ("the encoder's HR@50: 0.200 [0.150, 0.250]",))
    assert (asked.interval, asked.notes) == (None, ("the query adds +0.100 [-0.050, +0.250] at HR@10",))
