"""What leave-last-out keeps of the events, written out row by row."""

from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession

from jobs.own_data_road.leave_last_out import without_held_out


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
