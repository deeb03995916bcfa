"""How many impressions of the published days carry a vector, and why the others do not."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.own_data_road.derived_impressions import PREFIX
from schemas import names

JOINED = "joined"


def join_figures(features: DataFrame, events: DataFrame, published: Sequence[date]) -> dict[str, Any]:
    """Counts of impressions by missing_reason, and the share with a vector where one could be expected.

    Args:
        features: contract RANKING_FEATURES, one space.
        events: contract EVENTS.
        published: the published days.

    Returns: ``by_missing_reason`` over all published days (``joined`` for none); ``derived``: impressions made from events;
        ``expected``: impressions on days after the first published one, of users with an event strictly before them;
        ``expected_with_vector``: those of them that carry a vector, and their ``share`` (null without any).
    """
    first_events = events.groupBy("user_id").agg(F.min("event_time").alias("_first"))
    rows = features.where(F.col("ds").isin(list(published))).join(first_events, "user_id", "left")
    expected = (F.col("ds") > F.lit(min(published))) & (F.col("_first") < F.col("impression_time"))
    reasons = F.coalesce("missing_reason", F.lit(JOINED)).alias("reason")
    counted = rows.groupBy(reasons).agg(
        F.count(F.lit(1)).alias("n"),
        F.count_if(F.col("request_id").startswith(PREFIX)).alias("derived"),
        F.count_if(expected).alias("expected"),
        F.count_if(expected & F.col("interest_embedding").isNotNull()).alias("with_vector"),
    )
    tally = {row["reason"]: row for row in counted.collect()}
    known = (JOINED, names.NO_HISTORY, names.NOT_PUBLISHED, names.TRAINED_AFTER, names.NO_ITEM_VECTOR)
    total = {name: sum(row[name] for row in tally.values()) for name in ("derived", "expected", "with_vector")}
    return {
        "by_missing_reason": {reason: tally[reason]["n"] if reason in tally else 0 for reason in known},
        "derived": total["derived"],
        "expected": total["expected"],
        "expected_with_vector": total["with_vector"],
        "share": total["with_vector"] / total["expected"] if total["expected"] else None,
    }
