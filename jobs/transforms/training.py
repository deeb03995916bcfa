"""What the trainer reads: histories, catalogue and impressions from before ``trained_until``, and nothing after it."""

from datetime import UTC, date, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.transforms.histories import distinct_events
from jobs.transforms.item_versions import current_versions


def last_day_before(trained_until: datetime) -> date:
    """The last day (UTC) that holds an instant before ``trained_until``."""
    return (trained_until.astimezone(UTC) - timedelta(microseconds=1)).date()


def known_until(events: DataFrame, trained_until: datetime) -> DataFrame:
    """Events with ``event_time < trained_until`` that had arrived by then."""
    return events.where((F.col("ds") <= F.lit(last_day_before(trained_until))) & (F.col("event_time") < F.lit(trained_until)))


def training_histories(events: DataFrame, trained_until: datetime) -> DataFrame:
    """All events of each user with ``event_time < trained_until`` that had arrived by then, oldest first.

    Returns user_id and the parallel arrays event_times, event_types, item_ids, queries, in the order (event_time, event_id).
    """
    fields = ("event_time", "event_id", "event_type", "item_id", "query")
    gathered = (
        distinct_events(known_until(events, trained_until))
        .groupBy("user_id")
        .agg(F.sort_array(F.collect_list(F.struct(*fields))).alias("_h"))
    )
    return gathered.select(
        "user_id",
        F.col("_h.event_time").alias("event_times"),
        F.col("_h.event_type").alias("event_types"),
        F.col("_h.item_id").alias("item_ids"),
        F.col("_h.query").alias("queries"),
    )


def training_catalogue(items: DataFrame, visual_features: DataFrame, trained_until: datetime) -> DataFrame:
    """One row an item as of ``trained_until`` (exclusive): item_id, content_hash, title, category, image_sha256, features?."""
    known = items.where(F.col("valid_from") < F.lit(trained_until))
    current = current_versions(known, last_day_before(trained_until))
    joined = current.join(visual_features.select("image_sha256", "features"), "image_sha256", "left")
    return joined.select("item_id", "content_hash", "title", "category", "image_sha256", "features").orderBy("item_id")


def training_impressions(impressions: DataFrame, trained_until: datetime) -> DataFrame:
    """Impressions from before ``trained_until`` that had arrived by then: user_id, impression_time, item_id, clicked."""
    known = impressions.where((F.col("ds") <= F.lit(last_day_before(trained_until))) & (F.col("impression_time") < F.lit(trained_until)))
    return known.select("user_id", "impression_time", "item_id", "clicked")
