"""What leave-last-out keeps of the events, written out row by row."""

from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession

from jobs.own_data_road.leave_last_out import queries_of, without_held_out


def _at(hour: int) -> datetime:
    return datetime(2026, 1, 1, hour, tzinfo=UTC)


EVENTS = [
    # (event_id, user_id, event_time, item_id)
    ("before", "u", _at(1), "a"),
    ("same item before", "u", _at(2), "target"),
    ("query before", "u", _at(3), None),
    ("same instant", "u", _at(5), "b"),
    ("target", "u", _at(5), "target"),
    ("after", "u", _at(6), "c"),
    ("query after", "u", _at(7), None),
    ("other user, after", "v", _at(9), "target"),
]
TARGETS = [("u", "target", _at(5)), ("nobody", "a", _at(1))]


@pytest.mark.parametrize(
    ("baskets", "kept"),
    [
        (False, {"before", "query before", "same instant", "other user, after"}),
        (True, {"before", "same item before", "query before", "other user, after"}),
    ],
)
def test_nothing_of_the_target_or_after_it_stays(spark: SparkSession, baskets: bool, kept: set[str]) -> None:
    events = spark.createDataFrame(EVENTS, "event_id string, user_id string, event_time timestamp, item_id string")
    targets = spark.createDataFrame(TARGETS, "user_id string, item_id string, cut_time timestamp")
    left = without_held_out(events, targets, baskets=baskets)
    assert left.columns == events.columns
    assert sorted(row["event_id"] for row in left.collect()) == sorted(kept)


def test_the_query_of_a_target_is_that_of_its_own_event(spark: SparkSession) -> None:
    rows = [
        ("e1", "u", _at(5), "target", "jug"),
        ("e0", "u", _at(5), "target", "blue jug"),
        ("earlier", "u", _at(4), "target", "vase"),
        ("other item", "u", _at(5), "b", "lamp"),
        ("other user", "v", _at(5), "target", "cup"),
        ("untyped", "w", _at(5), "target", None),
    ]
    events = spark.createDataFrame(rows, "event_id string, user_id string, event_time timestamp, item_id string, query string")
    targets = spark.createDataFrame(
        [("u", "target", _at(5)), ("w", "target", _at(5))], "user_id string, item_id string, cut_time timestamp"
    )
    assert queries_of(events, targets) == {"u": "blue jug"}
