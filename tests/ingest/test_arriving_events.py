"""The rule of event_id, and the days of a bulk load."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from jobs.transforms.arrivals import BulkArrival, DailyArrival
from jobs.transforms.arriving_events import judge_events

DAY = date(2026, 3, 10)
TIME = datetime(2026, 3, 10, 8, tzinfo=UTC)
CHECKED = "event_id string, user_id string, event_time timestamp, event_type string, item_id string, query string, value double"
COLUMNS = f"{CHECKED}, source_file string, row_number bigint, verdict string"
DAILY = DailyArrival(ds=DAY, max_lateness_days=7)

Row = tuple[Any, ...]


def row(user: str, item: str | None = "i1", *, id: str | None = None, query: str | None = None, time: datetime = TIME) -> Row:
    return (id, user, time, "click", item, query, None)


def judged(spark: SparkSession, rows: list[Row], arrival: Any = DAILY, file: str = "a") -> list[dict[str, Any]]:
    frame = spark.createDataFrame([(*row, file, number, None) for number, row in enumerate(rows)], COLUMNS)
    return [found.asDict() for found in judge_events(frame, arrival).sort("row_number").collect()]


def test_identical_rows_are_events_of_their_own(spark: SparkSession) -> None:
    ids = [found["event_id"] for found in judged(spark, [row("u1"), row("u1"), row("u1"), row("u2")])]
    assert len(set(ids)) == 4


def test_a_time_a_microsecond_apart_is_another_event(spark: SparkSession) -> None:
    near = row("u1", time=TIME + timedelta(microseconds=1))
    both = judged(spark, [row("u1"), near])
    alone = judged(spark, [near])
    assert both[1]["event_id"] == alone[0]["event_id"] != both[0]["event_id"]


def test_null_and_text_never_meet(spark: SparkSession) -> None:
    """A digest that joined values carelessly would give ("a", null) and (null, "a") one id."""
    found = judged(spark, [row("u1", None, query="a"), row("u1", "a"), row("u1", "a", query="0")])
    assert len({entry["event_id"] for entry in found}) == 3


def test_the_first_of_a_repeated_id_stays(spark: SparkSession) -> None:
    found = judged(spark, [row("u1", id="e"), row("u2", id="e"), row("u3", id="f"), row("u4", id="e")])
    assert [entry["verdict"] for entry in found] == [None, "duplicate_event_id", None, "duplicate_event_id"]
    assert [entry["event_id"] for entry in found] == ["e", "e", "f", "e"]


def test_a_refused_row_does_not_use_up_an_id(spark: SparkSession) -> None:
    found = judged(spark, [row("u1", None, id="e"), row("u2", id="e")])
    assert [entry["verdict"] for entry in found] == ["neither_item_nor_query", None]


def test_a_bulk_load_dates_each_row_by_its_own_utc_day(spark: SparkSession) -> None:
    midnight = datetime(2026, 3, 10, tzinfo=UTC)
    times = [midnight - timedelta(microseconds=1), midnight, datetime(1999, 1, 1, tzinfo=UTC)]
    arrival = BulkArrival(first=date(2026, 3, 9), last=date(2026, 3, 10), now=datetime(2026, 4, 1, tzinfo=UTC))
    found = judged(spark, [row("u1", time=time) for time in times], arrival)
    assert [(entry["ds"].isoformat(), entry["verdict"]) for entry in found] == [
        ("2026-03-09", None), ("2026-03-10", None), ("1999-01-01", "out_of_range")
    ]  # fmt: skip


def test_one_id_on_two_days_of_a_bulk_load_is_left_to_the_readers(spark: SparkSession) -> None:
    found = judged(spark, [row("u1", id="e"), row("u1", id="e", time=TIME + timedelta(days=1))], anytime(datetime(2026, 4, 1, tzinfo=UTC)))
    assert [entry["verdict"] for entry in found] == [None, None]


def anytime(now: datetime) -> BulkArrival:
    return BulkArrival(first=None, last=None, now=now)


def test_what_a_bulk_load_cannot_know_yet_is_from_the_future(spark: SparkSession) -> None:
    found = judged(spark, [row("u1"), row("u2", time=TIME - timedelta(microseconds=1))], anytime(TIME))
    assert [entry["verdict"] for entry in found] == ["future", None]


_ROW = st.tuples(st.sampled_from(["u1", "u2"]), st.sampled_from(["i1", None]), st.sampled_from(["q", None]))
_ROWS = st.lists(_ROW, min_size=1, max_size=8)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=_ROWS, order=st.randoms(use_true_random=False))
def test_ids_do_not_depend_on_the_order_of_rows(spark: SparkSession, rows: list[Any], order: Any) -> None:
    landed = [row(user, item, query=query) for user, item, query in rows]
    shuffled = order.sample(landed, len(landed))
    ids = [{entry["event_id"] for entry in judged(spark, some) if entry["verdict"] is None} for some in (landed, shuffled)]
    assert ids[0] == ids[1]
    assert len(ids[0]) == sum(item is not None or query is not None for _, item, query in rows)
