"""Impressions where a source has none: what was taken beside what was popular then. Pure: DataFrame -> DataFrame."""

from datetime import datetime

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

UNCLICKED = 20
SEED = 20_260_329
PREFIX = "derived-"
"""Starts the request_id of every derived impression, so that a reader can tell them from shown ones."""

_DRAWS = 5 * UNCLICKED
"""Draws a request; the first UNCLICKED different items count. Only a catalogue with few items that sell runs short of them."""


def derived_impressions(events: DataFrame, since: datetime, seed: int = SEED) -> DataFrame:
    """One request an item event at or after ``since`` (inclusive): its item, clicked, beside UNCLICKED others, unclicked.

    The others are drawn by popularity among the item events strictly before that instant, without repetition: an item
    comes first with its share of those events. Fewer stand in a request where fewer items had been seen, or where so
    few make up nearly all events that ``_DRAWS`` draws do not find enough.

    Args:
        events: event_id, user_id, event_time, item_id; null item_ids are queries and make no request.
        seed: of the draws, which depend on it and on event_id alone: the same events give the same rows.

    Returns: request_id (PREFIX and the event_id), item_id, user_id, impression_time, clicked.

    How: item events are numbered in the order of their times; a uniform number below that of the first event of the
    request's instant is a draw by popularity. Window and join by day or number: nothing is gathered on the driver.
    """
    numbered = _numbered(events.where(F.col("item_id").isNotNull()).select("event_id", "user_id", "event_time", "item_id"))
    requests = numbered.where(F.col("event_time") >= F.lit(since)).select(
        F.concat(F.lit(PREFIX), "event_id").alias("request_id"),
        "user_id",
        F.col("event_time").alias("impression_time"),
        F.col("item_id").alias("_taken"),
        F.col("_before"),
    )
    unclicked = _unclicked(requests, numbered.select(F.col("_number").alias("_drawn"), "item_id"), seed)
    clicked = requests.withColumns({"item_id": F.col("_taken"), "clicked": F.lit(True)})
    columns = ("request_id", "item_id", "user_id", "impression_time", "clicked")
    return clicked.select(*columns).unionByName(unclicked.select(*columns))


def _numbered(events: DataFrame) -> DataFrame:
    """``events`` with _number, from 0 in the order (event_time, event_id), and _before, the events strictly earlier.

    Two steps, so that no window holds all events: the place within the day, and the events of the days before.
    """
    dated = events.withColumn("_day", F.to_date("event_time"))
    in_day = Window.partitionBy("_day")
    placed = dated.withColumns(
        {
            "_place": F.row_number().over(in_day.orderBy("event_time", "event_id")) - 1,
            "_earlier": F.rank().over(in_day.orderBy("event_time")) - 1,
        }
    )
    earlier_days = Window.partitionBy(F.lit(0)).orderBy("_day").rowsBetween(Window.unboundedPreceding, -1)
    before = F.coalesce(F.sum("_n").over(earlier_days), F.lit(0))
    days = dated.groupBy("_day").agg(F.count(F.lit(1)).alias("_n")).select("_day", before.alias("_start"))
    return (
        placed.join(F.broadcast(days), "_day")
        .withColumns({"_number": F.col("_start") + F.col("_place"), "_before": F.col("_start") + F.col("_earlier")})
        .drop("_day", "_start", "_place", "_earlier")
    )


def _unclicked(requests: DataFrame, numbers: DataFrame, seed: int) -> DataFrame:
    """The first UNCLICKED different items drawn for each request, the taken one left out."""
    draws = requests.where(F.col("_before") > 0).withColumn("_draw", F.explode(F.sequence(F.lit(0), F.lit(_DRAWS - 1))))
    drawn = draws.withColumn("_drawn", F.pmod(F.xxhash64(F.lit(seed), "request_id", "_draw"), "_before"))
    items = drawn.join(numbers, "_drawn").where(F.col("item_id") != F.col("_taken"))
    first = items.groupBy("request_id", "user_id", "impression_time", "item_id").agg(F.min("_draw").alias("_draw"))
    order = Window.partitionBy("request_id").orderBy("_draw")
    return first.withColumn("_n", F.row_number().over(order)).where(F.col("_n") <= UNCLICKED).withColumn("clicked", F.lit(False))
