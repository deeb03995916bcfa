"""Which version of an item a day sees."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.transforms.days import as_of


def versions_known(items: DataFrame, ds: date) -> DataFrame:
    """Versions that arrived by ``ds`` (inclusive) and hold from before its end. Several a item."""
    return items.where((F.col("ds") <= F.lit(ds)) & (F.col("valid_from") < F.lit(as_of(ds))))


def current_versions(items: DataFrame, ds: date) -> DataFrame:
    """The newest version of every item as of the end of ``ds``: one row an item_id, all columns of ``items``.

    Equal valid_from (an item that two arrivals describe from the same instant): the later arrival wins.
    """
    newest = F.max(F.struct("valid_from", "ds", *[name for name in items.columns if name not in ("valid_from", "ds")]))
    return versions_known(items, ds).groupBy(F.col("item_id").alias("_item")).agg(newest.alias("_v")).select("_v.*").select(*items.columns)
