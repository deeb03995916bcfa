"""Impressions with the interest vector that was readable when they happened (P1), as rows of RANKING_FEATURES."""

from datetime import date

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.functions import pandas_udf
from pyspark.sql.types import DoubleType

from jobs.errors import SpaceMixError
from jobs.transforms.temporal_join import point_in_time_join
from schemas import names
from schemas.contracts import CONTRACTS

_IMPRESSION = ("request_id", "item_id")


def distinct_impressions(impressions: DataFrame) -> DataFrame:
    """One row an impression (contract IMPRESSIONS): across days the smallest ds wins, as with events."""
    rest = [column for column in impressions.columns if column not in _IMPRESSION]
    first = impressions.groupBy(*_IMPRESSION).agg(F.min_by(F.struct(*rest), "ds").alias("_i"))
    return first.select(*_IMPRESSION, "_i.*").select(*impressions.columns)


def impressions_of(impressions: DataFrame, ds: date) -> DataFrame:
    """The impressions of ``ds`` (contract IMPRESSIONS) that no earlier day brought: as with events, the smallest ds wins."""
    today = impressions.where(F.col("ds") == F.lit(ds))
    oldest = today.agg(F.to_date(F.min("impression_time")).alias("ds")).collect()[0]["ds"]
    if oldest is None or oldest >= ds:  # none arrives before it happened, so no earlier day can hold one of these
        return today
    earlier = impressions.where((F.col("ds") >= F.lit(oldest)) & (F.col("ds") < F.lit(ds)))
    return today.join(earlier.select(*_IMPRESSION), [*_IMPRESSION], "left_anti").select(*today.columns)


def snapshots_of(interests: DataFrame) -> DataFrame:
    """One row a snapshot of ``interests`` (one space): vector_ds, available_at, snapshot_as_of, trained_until.

    Raises SpaceMixError where ``interests`` holds more than one space (P2).
    """
    spaces = sorted(row["space_id"] for row in interests.select("space_id").distinct().collect())
    if len(spaces) > 1:
        raise SpaceMixError("SPACE_MIX", "a join reads one space", expected="one space", got=", ".join(spaces))
    return interests.groupBy(F.col("ds").alias("vector_ds")).agg(
        F.max("available_at").alias("available_at"), F.max("as_of").alias("snapshot_as_of"), F.max("trained_until").alias("trained_until")
    )


def ranking_features(
    impressions: DataFrame, interests: DataFrame, items: DataFrame, item_vectors: DataFrame, *, space_id: str, allow_trained_after: bool
) -> DataFrame:
    """Every impression exactly once, with the vectors that were readable at impression_time.

    The snapshot is the one of the greatest ds among those with ``available_at <= impression_time`` (inclusive), and the
    user's row in it; never an older row where that snapshot lacks the user. The candidate's vector is that of the item
    version valid at impression_time.

    Args:
        impressions: contract IMPRESSIONS.
        interests: contract INTEREST_EMBEDDINGS, one space.
        items: contract ITEMS, the versions that may be seen.
        item_vectors: contract ITEM_EMBEDDINGS, the same space.
        allow_trained_after: keep vectors of an encoder trained until after the impression; missing_reason then still
            says ``trained_after``, as a mark.
    """
    at_snapshot = point_in_time_join(
        impressions,
        snapshots_of(interests),
        on=(),
        at="impression_time",
        known_from="available_at",
        newest_by="vector_ds",
        take=("vector_ds", "snapshot_as_of", "trained_until"),
    )
    at_version = point_in_time_join(
        at_snapshot,
        items.select("item_id", "valid_from", F.col("ds").alias("item_ds"), "content_hash"),
        on=("item_id",),
        at="impression_time",
        known_from="valid_from",
        newest_by="valid_from",
        take=("item_ds", "content_hash"),
    )
    vectors = interests.select("user_id", F.col("ds").alias("vector_ds"), "last_event_time", F.col("embedding").alias("_u"))
    candidates = item_vectors.select("content_hash", F.col("embedding").alias("_e"))
    joined = at_version.join(vectors, ["user_id", "vector_ds"], "left").join(candidates, "content_hash", "left")
    reason = F.coalesce(_user_reason(), F.when(F.col("_e").isNull(), F.lit(names.NO_ITEM_VECTOR)))
    usable = F.col("_u").isNotNull() & (F.lit(allow_trained_after) | (F.col("trained_until") <= F.col("impression_time")))
    cosine = _dot_udf()
    features = {
        "space_id": F.lit(space_id),
        "vector_age": _seconds("impression_time") - _seconds("snapshot_as_of"),
        "last_event_age": F.when(usable, _seconds("impression_time") - _seconds("last_event_time")),
        "candidate_cosine": F.when(usable & F.col("_e").isNotNull(), cosine("_u", "_e")),
        "missing_reason": reason,
        "interest_embedding": F.when(usable, F.col("_u")),
    }
    return joined.withColumns(features).select(*CONTRACTS[names.RANKING_FEATURES].names)


def _user_reason() -> Column:
    return (
        F.when(F.col("vector_ds").isNull(), F.lit(names.NOT_PUBLISHED))
        .when(F.col("trained_until") > F.col("impression_time"), F.lit(names.TRAINED_AFTER))
        .when(F.col("_u").isNull(), F.lit(names.NO_HISTORY))
    )


def _seconds(column: str) -> Column:
    return F.unix_micros(F.col(column)) / 1e6


def _dot_udf() -> "F.UserDefinedFunctionLike":
    """Dot product of two unit vectors a row (float64), clipped to [-1, 1]; null where either is null."""

    @pandas_udf(DoubleType())  # type: ignore[call-overload]
    def dot(u: pd.Series, e: pd.Series) -> pd.Series:
        both = u.notna() & e.notna()
        result = pd.Series(np.nan, index=u.index, dtype="float64")
        if both.any():
            left, right = np.stack(u[both].to_numpy()), np.stack(e[both].to_numpy())
            result[both] = np.clip(np.einsum("nd,nd->n", left.astype("float64"), right.astype("float64")), -1.0, 1.0)
        return result

    return dot
