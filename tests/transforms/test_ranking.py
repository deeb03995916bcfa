"""P1 and P2 in the ranking features: which vector an impression gets, and why it has none."""

from datetime import UTC, date, datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.errors import SpaceMixError
from jobs.transforms.item_versions import current_versions
from jobs.transforms.ranking import ranking_features
from schemas import names
from schemas.contracts import CONTRACTS

D = date(2026, 3, 1)
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
OLD = datetime(2026, 1, 1, tzinfo=UTC)


def interest(user: str, ds: date, available_at: datetime, vector: list[float], trained_until: datetime = OLD, space: str = "s") -> tuple:
    as_of = datetime(ds.year, ds.month, ds.day, tzinfo=UTC) + timedelta(days=1)
    return (user, ds, space, "r", ds, "f", 1, as_of - timedelta(hours=5), as_of, available_at, available_at, trained_until, "live", vector)


def features(spark: SparkSession, interests: list, *, user: str = "u", at: datetime = NOON, allow: bool = False) -> dict:
    shown = [("q1", "i", at.date(), user, at, None, None, True)]
    versions = [("i", OLD, D, "old title", None, None, None, None, "h1"), ("i", NOON, D, "new title", None, None, None, None, "h2")]
    vectors = [("h1", "s", [1.0, 0.0]), ("h2", "s", [0.6, 0.8])]
    frames: list[DataFrame] = [
        spark.createDataFrame(rows, CONTRACTS[table].ddl)
        for rows, table in (
            (shown, names.IMPRESSIONS),
            (interests, names.INTEREST_EMBEDDINGS),
            (versions, names.ITEMS),
            (vectors, names.ITEM_EMBEDDINGS),
        )
    ]
    rows = ranking_features(*frames, space_id="s", allow_trained_after=allow).collect()
    assert len(rows) == 1
    return rows[0].asDict()


def day(offset: int) -> date:
    return D + timedelta(days=offset)


def ready(offset: int, hour: int = 2) -> datetime:
    return datetime(2026, 3, 2, hour, tzinfo=UTC) + timedelta(days=offset)


def test_the_newest_readable_day_and_the_version_valid_then(spark: SparkSession) -> None:
    interests = [
        interest("u", day(0), ready(0), [1.0, 0.0]),
        interest("u", day(1), ready(1), [0.0, 1.0]),
        interest("u", day(2), ready(2), [0.5, 0.5]),
    ]
    row = features(spark, interests)
    assert (row["vector_ds"], row["interest_embedding"], row["missing_reason"]) == (day(1), [0.0, 1.0], None)
    assert row["candidate_cosine"] == pytest.approx(0.0 * 0.6 + 1.0 * 0.8)  # h2 holds from this very instant
    assert row["vector_age"] == 12 * 3600
    assert row["last_event_age"] == (12 + 5) * 3600


def test_before_a_rename_the_old_content_counts(spark: SparkSession) -> None:
    row = features(spark, [interest("u", day(0), ready(0), [0.0, 1.0])], at=NOON - timedelta(microseconds=1))
    assert row["candidate_cosine"] == pytest.approx(0.0)


def test_a_day_mended_late_does_not_displace_a_newer_one(spark: SparkSession) -> None:
    interests = [interest("u", day(1), ready(1), [0.0, 1.0]), interest("u", day(0), NOON, [1.0, 0.0])]
    assert features(spark, interests)["vector_ds"] == day(1)


def test_nothing_readable_yet(spark: SparkSession) -> None:
    row = features(spark, [interest("u", day(2), ready(2), [0.0, 1.0])])
    assert (row["missing_reason"], row["interest_embedding"], row["vector_ds"]) == (names.NOT_PUBLISHED, None, None)


def test_absent_from_the_newest_readable_day_means_no_history_not_an_older_row(spark: SparkSession) -> None:
    interests = [interest("u", day(0), ready(0), [1.0, 0.0]), interest("v", day(1), ready(1), [0.0, 1.0])]
    row = features(spark, interests)
    assert (row["missing_reason"], row["interest_embedding"], row["vector_ds"]) == (names.NO_HISTORY, None, day(1))


@pytest.mark.parametrize(("allow", "vector"), [(False, None), (True, [0.0, 1.0])])
def test_an_encoder_that_saw_the_impression(spark: SparkSession, allow: bool, vector: list | None) -> None:
    row = features(spark, [interest("u", day(1), ready(1), [0.0, 1.0], trained_until=NOON + timedelta(seconds=1))], allow=allow)
    assert (row["interest_embedding"], row["missing_reason"]) == (vector, names.TRAINED_AFTER)
    assert (row["candidate_cosine"] is None) == (vector is None)


def test_trained_until_is_exclusive(spark: SparkSession) -> None:
    row = features(spark, [interest("u", day(1), ready(1), [0.0, 1.0], trained_until=NOON)])
    assert row["missing_reason"] is None


def test_of_two_versions_from_one_instant_the_later_arrival_counts(spark: SparkSession) -> None:
    """As in the histories: a correction replaces what it corrects, whatever the digests are."""
    impressions = spark.createDataFrame([("q1", "i", NOON.date(), "u", NOON, None, None, True)], CONTRACTS[names.IMPRESSIONS].ddl)
    interests = spark.createDataFrame([interest("u", day(1), ready(1), [0.0, 1.0])], CONTRACTS[names.INTEREST_EMBEDDINGS].ddl)
    versions = [("i", OLD, D, "wrong", None, None, None, None, "h9"), ("i", OLD, day(1), "right", None, None, None, None, "h1")]
    items = spark.createDataFrame(versions, CONTRACTS[names.ITEMS].ddl)
    vectors = spark.createDataFrame([("h9", "s", [1.0, 0.0]), ("h1", "s", [0.0, 1.0])], CONTRACTS[names.ITEM_EMBEDDINGS].ddl)
    rows = ranking_features(impressions, interests, items, vectors, space_id="s", allow_trained_after=False).collect()
    assert [row["candidate_cosine"] for row in rows] == [pytest.approx(1.0)]
    assert [row["content_hash"] for row in current_versions(items, day(2)).collect()] == ["h1"]


def test_a_candidate_without_a_vector(spark: SparkSession) -> None:
    row = features(
        spark,
        [interest("u", day(-60), OLD - timedelta(days=9), [0.0, 1.0], trained_until=OLD - timedelta(days=60))],
        at=OLD - timedelta(days=1),
    )
    assert (row["missing_reason"], row["candidate_cosine"], row["interest_embedding"]) == (names.NO_ITEM_VECTOR, None, [0.0, 1.0])


def test_two_spaces_in_one_join_is_an_error_that_names_both(spark: SparkSession) -> None:
    with pytest.raises(SpaceMixError, match=r"s, t"):
        features(spark, [interest("u", day(0), ready(0), [1.0, 0.0]), interest("u", day(1), ready(1), [1.0, 0.0], space="t")])
