"""P5b for histories: built on an earlier day they equal those built from all events."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from jobs.transforms.histories import advanced_histories, full_histories
from schemas.contracts import CONTRACTS
from schemas.names import EVENTS

FIRST = date(2026, 3, 1)


def rows_of(frame: DataFrame) -> list[tuple]:
    return sorted(tuple(row[name] for name in ("user_id", "event_ids", "item_ids", "queries", "event_types")) for row in frame.collect())


def event(event_id: str, day: int, user: str, hour: int, item: str | None = "i", query: str | None = None) -> tuple:
    time = datetime(2026, 2, 28, tzinfo=UTC) + timedelta(hours=hour)
    return (event_id, FIRST + timedelta(days=day), user, time, "click", item, query, None)


events = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 3), st.sampled_from("uvw"), st.integers(0, 40), st.sampled_from([None, "i", "j"])),
    max_size=40,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stream=events, base_day=st.integers(0, 2), n_max=st.integers(1, 6))
def test_advancing_equals_building_in_full(spark: SparkSession, stream: list, base_day: int, n_max: int) -> None:
    unique = {(event_id, day): event(f"e{event_id:02}", day, user, hour, item, "q") for event_id, day, user, hour, item in stream}
    frame = spark.createDataFrame(list(unique.values()), CONTRACTS[EVENTS].ddl)
    base_ds, ds = FIRST + timedelta(days=base_day), FIRST + timedelta(days=3)
    base = full_histories(frame, base_ds, n_max)
    assert rows_of(advanced_histories(base, base_ds, frame, ds, n_max)) == rows_of(full_histories(frame, ds, n_max))


def test_the_newest_n_in_the_order_of_time_then_id(spark: SparkSession) -> None:
    stream = [event("b", 0, "u", 5), event("a", 0, "u", 5), event("c", 0, "u", 4), event("d", 1, "u", 6)]
    frame = spark.createDataFrame(stream, CONTRACTS[EVENTS].ddl)
    assert [row["event_ids"] for row in full_histories(frame, FIRST, 2).collect()] == [["a", "b"]]
    assert [row["event_ids"] for row in full_histories(frame, FIRST + timedelta(days=1), 3).collect()] == [["a", "b", "d"]]


def test_of_an_event_id_on_two_days_the_earlier_arrival_counts(spark: SparkSession) -> None:
    stream = [event("a", 1, "u", 5, item="later"), event("a", 0, "u", 5, item="earlier")]
    frame = spark.createDataFrame(stream, CONTRACTS[EVENTS].ddl)
    assert [row["item_ids"] for row in full_histories(frame, FIRST + timedelta(days=1), 9).collect()] == [["earlier"]]


def test_an_event_at_the_end_of_the_day_belongs_to_the_next(spark: SparkSession) -> None:
    midnight = event("a", 0, "u", 48)  # 2026-03-02 00:00, which is as_of(2026-03-01)
    before = event("b", 0, "u", 47)
    frame = spark.createDataFrame([midnight, before], CONTRACTS[EVENTS].ddl)
    assert [row["event_ids"] for row in full_histories(frame, FIRST, 9).collect()] == [["b"]]
