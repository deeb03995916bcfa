"""Derived impressions: every item event becomes a request; what stands beside it was drawn by popularity before it."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.own_data_road.derived_impressions import PREFIX, UNCLICKED, derived_impressions

START = datetime(2026, 1, 1, tzinfo=UTC)
SINCE = START + timedelta(days=20)
DDL = "event_id string, user_id string, event_time timestamp, item_id string"


def _events(spark: SparkSession, rows: list[tuple[str, str, datetime, str | None]]) -> DataFrame:
    return spark.createDataFrame(rows, DDL).repartition(3)


def _world() -> list[tuple[str, str, datetime, str | None]]:
    """30 items; half of the first 600 events are of item i0; then 40 requests, two of each instant, a query and a new item."""
    early = [(f"e{n:03}", "u", START + timedelta(minutes=30 * n), "i0" if n % 2 else f"i{1 + n // 2 % 29}") for n in range(600)]
    late = [(f"l{n:03}", f"u{n}", SINCE + timedelta(hours=n // 2), f"i{n % 30}") for n in range(40)]
    return [*early, *late, ("q", "u", SINCE, None), ("z", "u", SINCE + timedelta(days=9), "new")]


@pytest.fixture
def rows(spark: SparkSession) -> list[tuple[str, str, str, datetime, bool]]:
    collected = derived_impressions(_events(spark, _world()), SINCE).collect()
    return [(r["request_id"], r["item_id"], r["user_id"], r["impression_time"].replace(tzinfo=UTC), r["clicked"]) for r in collected]


def test_every_item_event_since_is_one_click_beside_twenty_others(rows: list[tuple[str, str, str, datetime, bool]]) -> None:
    events = {PREFIX + event_id: (user, time, item) for event_id, user, time, item in _world() if item and time >= SINCE}
    clicked = {request: (user, time, item) for request, item, user, time, click in rows if click}
    assert clicked == events
    assert len([row for row in rows if row[4]]) == 41
    assert Counter(row[0] for row in rows if not row[4]) == dict.fromkeys(events, UNCLICKED)
    assert len({row[:2] for row in rows}) == len(rows), "an item stands twice in a request"


def test_nothing_is_drawn_from_the_request_s_own_instant_or_later(spark: SparkSession) -> None:
    same_instant = [("a", "u", START, "old"), ("b", "u", SINCE, "x"), ("c", "v", SINCE, "y"), ("d", "v", SINCE + timedelta(seconds=1), "z")]
    found = derived_impressions(_events(spark, same_instant), SINCE).where("not clicked").collect()
    beside = {(row["request_id"], row["item_id"]) for row in found}
    of = {request: {item for r, item in beside if r == PREFIX + request} for request in "bcd"}
    assert of == {"b": {"old"}, "c": {"old"}, "d": {"old", "x", "y"}}


def test_the_first_request_of_all_has_its_click_alone(spark: SparkSession) -> None:
    found = derived_impressions(_events(spark, [("a", "u", SINCE, "x")]), SINCE).collect()
    assert [(row["item_id"], row["clicked"]) for row in found] == [("x", True)]


def test_popular_items_come_more_often(rows: list[tuple[str, str, str, datetime, bool]]) -> None:
    """i0 has half of the events, so 20 different draws miss it with a chance below 2^-20; another item is missed more often."""
    unclicked = Counter(item for _, item, _, _, click in rows if not click)
    possible = len({row[0] for row in rows}) - sum(1 for row in rows if row[4] and row[1] == "i0")
    assert unclicked["i0"] == possible
    assert unclicked["i1"] < possible


def test_same_events_same_rows_whatever_their_partitions(spark: SparkSession, rows: list[tuple[str, str, str, datetime, bool]]) -> None:
    again = derived_impressions(_events(spark, _world()[::-1]).coalesce(1), SINCE).collect()
    assert sorted((r["request_id"], r["item_id"]) for r in again) == sorted(row[:2] for row in rows)


def test_another_seed_draws_others(spark: SparkSession, rows: list[tuple[str, str, str, datetime, bool]]) -> None:
    other = derived_impressions(_events(spark, _world()), SINCE, seed=1).collect()
    assert {(r["request_id"], r["item_id"]) for r in other} != {row[:2] for row in rows}
