"""P1 for requests: what the encoder reads for one, against the definition row by row."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.transforms.request_inputs import request_inputs, requests_of, with_reasons
from schemas import names
from schemas.contracts import CONTRACTS

FIRST = date(2026, 3, 1)
START = datetime(2026, 3, 1, tzinfo=UTC)
REQUESTS = "request_id string, user_id string, request_time timestamp, query string"
READ = ("history_len", "last_event_time", "content_hashes", "event_types", "queries", "unknown_items")
MICROSECOND = timedelta(microseconds=1)
LENGTH = 4


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def event(
    event_id: str, time: datetime, *, user: str = "u", item: str | None = "i", query: str | None = None, ds: date | None = None
) -> tuple:
    return (event_id, ds or time.date(), user, time, "click", item, query, None)


def version(item: str, content: str, valid_from: datetime, ds: date = FIRST) -> tuple:
    return (item, valid_from, ds, None, None, None, None, None, content)


def frame(spark: SparkSession, rows: list[tuple], table: str) -> DataFrame:
    return spark.createDataFrame(rows, CONTRACTS[table].ddl)


def inputs(spark: SparkSession, requests: list[tuple], events: list[tuple], items: list[tuple]) -> dict[str, dict[str, Any]]:
    asked = spark.createDataFrame(requests, REQUESTS)
    found = request_inputs(asked, frame(spark, events, names.EVENTS), frame(spark, items, names.ITEMS), LENGTH).collect()
    assert len(found) == len(requests)
    return {row["request_id"]: row.asDict() for row in found}


def loop(request: tuple, events: list[tuple], items: list[tuple]) -> dict[str, Any]:
    """The definition, for one request."""
    _, user, t, query = request
    known = sorted((e[3], e[0], e[5], e[6]) for e in events if e[2] == user and e[3] < t and e[1] <= t.date())[-(LENGTH - 1) :]

    def content(item: str | None) -> str | None:
        held = [(v[1], v[2], v[8]) for v in items if v[0] == item and v[1] <= t and v[2] <= t.date()]
        return None if item is None else max(held)[2] if held else ""

    tokens = [(content(item), "click", typed) for _, _, item, typed in known] + ([(None, "query", query)] if query else [])
    hashes, types, queries = ([token[part] for token in tokens] or None for part in range(3))
    return {
        "history_len": len(known), "last_event_time": known[-1][0].replace(tzinfo=None) if known else None, "content_hashes": hashes,
        "event_types": types, "queries": queries, "unknown_items": sum(h == "" for h in hashes) if hashes else None,
    }  # fmt: skip


def test_equals_the_loop(spark: SparkSession) -> None:
    """Three days with late arrivals, ties of time, renamed and unknown items, users without a history, requests without a query."""
    rng = random.Random(7)
    hours = [half / 2 for half in range(3 * 48)]

    def arrival(time: datetime) -> date:
        return time.date() + timedelta(days=rng.choice([0, 0, 0, 1]))

    times = [at(rng.choice(hours)) for _ in range(150)]
    events = [
        event(f"e{n:03}", time, user=rng.choice("uvw"), item=rng.choice(["i", "j", "k", "unknown", None]), query=rng.choice([None, "mug"]),
              ds=arrival(time))
        for n, time in enumerate(times)
    ]  # fmt: skip
    starts = [at(rng.choice(hours)) for _ in range(20)]
    items = [version(rng.choice("ijk"), f"h{n}", start, ds=FIRST + timedelta(days=rng.randint(0, 2))) for n, start in enumerate(starts)]
    requests = [(f"q{n}", rng.choice("uvwx"), at(rng.choice(hours)), rng.choice(["lamp", "rug", None])) for n in range(120)]
    found = inputs(spark, requests, events, items)
    for request in requests:
        assert {name: found[request[0]][name] for name in READ} == loop(request, events, items), request


NOW = at(30)
HISTORY = [event("e1", at(2)), event("e2", at(29), item="j")]
VERSIONS = [version("i", "i1", at(-9)), version("j", "j1", at(-9))]
LATER = {
    "nothing": [],
    "an event at that very instant": [event("e3", NOW)],
    "an event after it": [event("e3", NOW + timedelta(hours=1))],
    "an earlier event that arrived the day after": [event("e3", at(5), ds=FIRST + timedelta(days=2))],
    "a version from after it": [version("i", "i2", NOW + MICROSECOND)],
    "an older version that arrived the day after": [version("i", "i2", at(3), ds=FIRST + timedelta(days=2))],
}
EARLIER = {
    "an event a microsecond before": [event("e3", NOW - MICROSECOND)],
    "a late event that has arrived": [event("e3", at(5), ds=FIRST + timedelta(days=1))],
    "a version from that very instant": [version("i", "i2", NOW)],
}


def world_of(kind: str, more: list[tuple]) -> tuple[list[tuple], list[tuple]]:
    """The history and versions, and ``more`` of either, of a user with items of their own, both called after ``kind``."""
    events = [(f"{kind}-{e[0]}", e[1], kind, *e[3:5], f"{kind}-{e[5]}", *e[6:]) for e in [*HISTORY, *(m for m in more if len(m) == 8)]]
    return events, [(f"{kind}-{v[0]}", *v[1:]) for v in [*VERSIONS, *(m for m in more if len(m) == 9)]]


def test_only_what_was_known_then_changes_what_is_read(spark: SparkSession) -> None:
    """Each kind has a user of its own: item names are not part of a fingerprint, so those of equal histories are equal."""
    worlds = [world_of(kind, more) for kind, more in {**LATER, **EARLIER}.items()]
    requests = [(kind, kind, NOW, "lamp") for kind in {**LATER, **EARLIER}]
    found = inputs(spark, requests, [e for events, _ in worlds for e in events], [v for _, items in worlds for v in items])
    prints = {kind: row["fingerprint"] for kind, row in found.items()}
    assert {prints[kind] for kind in LATER} == {prints["nothing"]}
    assert {kind for kind in EARLIER if prints[kind] == prints["nothing"]} == set()


def test_the_query_is_part_of_it_and_a_request_without_history_has_it_alone(spark: SparkSession) -> None:
    found = inputs(
        spark, [("a", "u", NOW, "lamp"), ("b", "u", NOW, "mug"), ("c", "new", NOW, "lamp"), ("d", "new", NOW, None)], HISTORY, VERSIONS
    )
    assert len({row["fingerprint"] for row in found.values()}) == 4
    assert (found["c"]["content_hashes"], found["c"]["event_types"], found["c"]["queries"]) == ([None], ["query"], ["lamp"])
    assert (found["c"]["history_len"], found["c"]["last_event_time"], found["d"]["fingerprint"]) == (0, None, None)


def test_a_request_is_told_once_by_the_earliest_arrival(spark: SparkSession) -> None:
    today, day_before = FIRST + timedelta(days=1), FIRST
    asked = [("both", today, "u", at(30), "typed"), ("old", today, "u", at(23), "again")]
    shown = [
        ("both", "i", today, "u", at(29), "shown", None, True),
        ("page", "i", today, "u", at(30), None, None, True),
        ("page", "j", today, "u", at(30), "jug", None, False),
        ("page", "k", today, "u", at(28), "vase", None, False),
        ("old", "i", day_before, "u", at(23), "first", None, True),
        ("next", "i", today + timedelta(days=1), "u", at(30), "mug", None, True),
    ]
    requests = requests_of(frame(spark, asked, names.REQUESTS), frame(spark, shown, names.IMPRESSIONS), today)
    assert {row["request_id"]: (row["query"], row["request_time"]) for row in requests.collect()} == {
        "both": ("typed", at(30).replace(tzinfo=None)), "page": ("vase", at(28).replace(tzinfo=None)),
    }  # fmt: skip


@pytest.mark.parametrize(("allow", "kept"), [(False, {"at"}), (True, {"at", "before"})])
def test_why_a_request_has_no_vector(spark: SparkSession, allow: bool, kept: set[str]) -> None:
    rows = [("before", NOW - MICROSECOND, "lamp", "f"), ("at", NOW, "lamp", "f"), ("silent", NOW - MICROSECOND, None, "f")]
    asked = spark.createDataFrame(rows, "request_id string, request_time timestamp, query string, fingerprint string")
    found = {row["request_id"]: row for row in with_reasons(asked, NOW, allow).collect()}
    reasons = {"before": names.TRAINED_AFTER, "at": None, "silent": names.NO_QUERY}
    assert {name: row["missing_reason"] for name, row in found.items()} == reasons
    assert {name for name, row in found.items() if row["fingerprint"]} == kept
