"""Which impressions could be expected to carry a vector, counted by hand."""

from datetime import UTC, date, datetime, timedelta

from pyspark.sql import SparkSession

from jobs.own_data_road.join_figures import join_figures
from schemas import names

DDL = "request_id string, ds date, user_id string, impression_time timestamp, missing_reason string, interest_embedding array<float>"
DAYS = [date(2026, 2, day) for day in (3, 4, 5)]
FIRST_EVENTS = {"old": datetime(2026, 1, 1, tzinfo=UTC), "new": datetime(2026, 2, 4, 12, tzinfo=UTC)}


def _row(request: str, day: int, user: str, reason: str | None, vector: bool) -> tuple[object, ...]:
    return request, date(2026, 2, day), user, datetime(2026, 2, day, 12, tzinfo=UTC), reason, [1.0] if vector else None


ROWS = [
    _row("derived-1", 3, "old", names.NOT_PUBLISHED, False),  # the first published day: nothing was readable yet
    _row("derived-2", 4, "old", None, True),
    _row("derived-3", 4, "new", names.NO_HISTORY, False),  # the user's first event is this very one
    _row("derived-4", 5, "new", None, True),
    _row("derived-5", 5, "old", names.NO_ITEM_VECTOR, True),  # the candidate lacks a vector, the user does not
    _row("given-1", 5, "old", names.TRAINED_AFTER, False),
    _row("derived-6", 2, "old", None, True),  # a day that was not published
]


def test_the_share_is_of_users_with_an_earlier_event_after_the_first_published_day(spark: SparkSession) -> None:
    features = spark.createDataFrame(ROWS, DDL)
    events = [(user, first + timedelta(days=more)) for user, first in FIRST_EVENTS.items() for more in (0, 20)]
    found = join_figures(features, spark.createDataFrame(events, "user_id string, event_time timestamp"), DAYS)
    assert found == {
        "by_missing_reason": {
            "joined": 2, names.NO_HISTORY: 1, names.NOT_PUBLISHED: 1, names.TRAINED_AFTER: 1, names.NO_ITEM_VECTOR: 1,
        },
        "derived": 5, "expected": 4, "expected_with_vector": 3, "share": 3 / 4,
    }  # fmt: skip
