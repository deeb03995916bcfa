"""P5c: the fingerprint covers exactly what the encoder reads."""

from datetime import UTC, date, datetime, timedelta

import pytest
from pyspark.sql import Row, SparkSession

from jobs.transforms.interest_inputs import interest_inputs
from schemas.contracts import CONTRACTS
from schemas.names import USER_HISTORIES

DAY = date(2026, 3, 1)
BASE = {"types": ("click", "query", "click"), "items": ("a", None, "b"), "queries": (None, "lamp", "red")}
VERSIONS = [("a", "hash-a"), ("b", "hash-b")]


def inputs(spark: SparkSession, history: dict = BASE, versions: list = VERSIONS, ds: date = DAY, length: int = 10) -> Row:
    times = [datetime(2026, 2, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(len(history["types"]))]
    ids = [f"e{number}" for number in range(len(times))]
    row = ("u", ds, ids, times, list(history["types"]), list(history["items"]), list(history["queries"]))
    histories = spark.createDataFrame([row], CONTRACTS[USER_HISTORIES].ddl)
    return interest_inputs(histories, spark.createDataFrame(versions, "item_id string, content_hash string"), length).collect()[0]


def test_parallel_arrays_oldest_first(spark: SparkSession) -> None:
    row = inputs(spark)
    assert row["content_hashes"] == ["hash-a", None, "hash-b"]
    assert row["event_types"] == ["click", "query", "click"]
    assert row["queries"] == [None, "lamp", "red"]
    assert (row["history_len"], row["last_event_time"]) == (3, datetime.fromisoformat("2026-02-01T02:00"))
    assert row["as_of"] == datetime.fromisoformat("2026-03-02")


def test_an_unknown_item_has_its_own_token_and_is_counted(spark: SparkSession) -> None:
    row = inputs(spark, versions=[("b", "hash-b")])
    assert row["content_hashes"] == ["", None, "hash-b"]
    assert row["unknown_items"] == 1
    assert row["fingerprint"] != inputs(spark)["fingerprint"]


def test_only_the_newest_events_are_read(spark: SparkSession) -> None:
    cut, whole = inputs(spark, length=2), inputs(spark)
    assert cut["content_hashes"] == [None, "hash-b"]
    assert cut["history_len"] == 3
    shorter = {name: values[1:] for name, values in BASE.items()}
    assert cut["fingerprint"] == inputs(spark, shorter)["fingerprint"] != whole["fingerprint"]


def test_the_day_is_not_part_of_it(spark: SparkSession) -> None:
    assert inputs(spark, ds=DAY + timedelta(days=99))["fingerprint"] == inputs(spark)["fingerprint"]


@pytest.mark.parametrize(
    "change",
    [
        {"types": ("cart", "query", "click")},
        {"items": ("b", None, "b")},
        {"items": ("b", None, "a")},
        {"queries": (None, "lamps", "red")},
        {"queries": ("", "lamp", "red")},
        {"queries": (None, "lamp", None)},
    ],
)
def test_each_thing_read_changes_it(spark: SparkSession, change: dict) -> None:
    assert inputs(spark, {**BASE, **change})["fingerprint"] != inputs(spark)["fingerprint"]


def test_an_item_with_new_content_changes_it(spark: SparkSession) -> None:
    assert inputs(spark, versions=[("a", "hash-a2"), ("b", "hash-b")])["fingerprint"] != inputs(spark)["fingerprint"]
