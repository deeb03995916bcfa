"""Which version of an item a day sees."""

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.transforms.days import as_of
from jobs.transforms.temporal_join import point_in_time_join


def versions_known(items: DataFrame, ds: date) -> DataFrame:
    """Versions that arrived by ``ds`` (inclusive) and hold from before its end. Several a item."""
    return items.where((F.col("ds") <= F.lit(ds)) & (F.col("valid_from") < F.lit(as_of(ds))))


def current_versions(items: DataFrame, ds: date) -> DataFrame:
    """The newest version of every item as of the end of ``ds``: one row an item_id, all columns of ``items``.

    Equal valid_from (an item that two arrivals describe from the same instant): the later arrival wins.
    """
    known = versions_known(items, ds)
    timeline = known.select("item_id").distinct().withColumn("_at", F.lit(as_of(ds) - timedelta(microseconds=1)))
    take = ("ds", *[name for name in items.columns if name not in ("item_id", "ds")])
    versions = known.withColumn("_newest", F.col("valid_from"))
    newest = point_in_time_join(timeline, versions, on=("item_id",), at="_at", known_from="valid_from", newest_by="_newest", take=take)
    return newest.select(*items.columns)
