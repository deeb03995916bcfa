"""P1: the one temporal join, against a ten-line loop."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from jobs.transforms.temporal_join import point_in_time_join, point_in_time_newest

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
LEFT = "row int, k string, t timestamp"
RIGHT = "k string, since timestamp, rank int, payload string"


def at(hours: int | None) -> datetime | None:
    return None if hours is None else EPOCH + timedelta(hours=hours)


def loop(left: list[tuple], right: list[tuple], keyed: bool) -> list[tuple]:
    """The definition, row by row."""
    joined = []
    for row, k, t in left:
        best = None
        for rk, since, rank, payload in right:
            known = t is not None and since is not None and since <= t and (not keyed or (k is not None and rk == k))
            if known and (best is None or (rank, payload) > best):
                best = (rank, payload)
        joined.append((row, best[1] if best else None))
    return sorted(joined)


hours = st.one_of(st.none(), st.integers(0, 6))
keys = st.sampled_from(["a", "b", "c", None])
lefts = st.lists(st.tuples(keys, hours), max_size=25)
rights = st.lists(st.tuples(keys, hours, st.integers(0, 4), st.sampled_from("xyz")), max_size=15)


@pytest.mark.parametrize("keyed", [True, False])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lefts=lefts, rights=rights)
def test_equals_the_loop(spark: SparkSession, keyed: bool, lefts: list, rights: list) -> None:
    left = [(row, k, at(t)) for row, (k, t) in enumerate(lefts)]
    right = [(k, at(since), rank, payload) for k, since, rank, payload in rights]
    joined = point_in_time_join(
        spark.createDataFrame(left, LEFT), spark.createDataFrame(right, RIGHT), on=("k",) if keyed else (),
        at="t", known_from="since", newest_by="rank", take=("payload",),
    )  # fmt: skip
    assert sorted((row["row"], row["payload"]) for row in joined.collect()) == loop(left, right, keyed)


def test_the_instant_itself_is_inclusive_and_duplicates_of_the_left_stay(spark: SparkSession) -> None:
    left = spark.createDataFrame([(1, "a", at(2)), (1, "a", at(2)), (2, "a", at(1))], LEFT)
    right = spark.createDataFrame([("a", at(2), 0, "x")], RIGHT)
    joined = point_in_time_join(left, right, on=("k",), at="t", known_from="since", newest_by="rank", take=("payload",))
    assert sorted((row["row"], row["payload"]) for row in joined.collect()) == [(1, "x"), (1, "x"), (2, None)]


def test_the_greatest_rank_wins_over_the_latest_to_become_known(spark: SparkSession) -> None:
    """A day that was mended late does not displace a newer day that was readable before it."""
    left = spark.createDataFrame([(1, "a", at(9))], LEFT)
    right = spark.createDataFrame([("a", at(3), 2, "newer day"), ("a", at(8), 1, "older day, mended late")], RIGHT)
    joined = point_in_time_join(left, right, on=("k",), at="t", known_from="since", newest_by="rank", take=("payload",))
    assert [row["payload"] for row in joined.collect()] == ["newer day"]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lefts=lefts, rights=rights, n=st.integers(0, 3))
def test_the_newest_few_equal_the_loop(spark: SparkSession, lefts: list, rights: list, n: int) -> None:
    left = [(row, k, at(t)) for row, (k, t) in enumerate(lefts)]
    right = [(k, at(since), rank, payload) for k, since, rank, payload in rights]
    joined = point_in_time_newest(
        spark.createDataFrame(left, LEFT), spark.createDataFrame(right, RIGHT),
        key=("row",), on=("k",), at="t", known_from="since", take=("rank", "payload"), n=n, into="few",
    )  # fmt: skip
    expected = []
    for row, k, t in left:
        known = sorted((r[2], r[3]) for r in right if None not in (k, t, r[1]) and r[0] == k and r[1] <= t)
        expected.append((row, known[len(known) - min(n, len(known)) :]))
    assert sorted((row["row"], [tuple(version) for version in row["few"]]) for row in joined.collect()) == expected
