"""Which impressions of a label window are measured, written out row by row."""

from datetime import UTC, date, datetime, timedelta

from pyspark.sql import SparkSession

from jobs.transforms.label_window import LabelWindow, shown_to
from schemas import names
from schemas.contracts import CONTRACTS

SINCE = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = LabelWindow(since=SINCE, days=2)


def shown(request: str, item: str, arrived: int, at: datetime, *, clicked: bool, user: str = "u") -> tuple[object, ...]:
    return (request, item, date(2026, 3, arrived), user, at, None, None, clicked)


def test_an_impression_counts_once_as_it_arrived_first_and_a_late_one_not_at_all(spark: SparkSession) -> None:
    inside, instant = SINCE + timedelta(hours=30), timedelta(microseconds=1)
    rows = [
        shown("q", "a", 3, inside, clicked=False),
        shown("q", "a", 2, SINCE, clicked=True),  # the first to arrive
        shown("q", "b", 3, inside, clicked=False),  # another item of the same request
        shown("late", "c", 4, inside, clicked=True),  # arrived after the window's last day
        shown("moved", "d", 2, SINCE - instant, clicked=True),  # as it arrived first it lies before the window
        shown("moved", "d", 3, SINCE, clicked=True),
        shown("end", "e", 3, SINCE + timedelta(days=2), clicked=True),
        shown("other", "a", 3, inside, clicked=True, user="nobody"),
    ]
    impressions = spark.createDataFrame(rows, CONTRACTS[names.IMPRESSIONS].ddl)
    users = spark.createDataFrame([("u",)], "user_id string")
    found = shown_to(users, impressions, WINDOW).collect()
    assert sorted((row["user_id"], row["item_id"], row["clicked"]) for row in found) == [("u", "a", True), ("u", "b", False)]
