"""User histories: the newest N events a user, full or on top of an earlier day."""

from datetime import date

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.transforms.days import as_of

_EVENT = ("event_time", "event_id", "event_type", "item_id", "query")
_ARRAYS = {"event_times": "event_time", "event_ids": "event_id", "event_types": "event_type", "item_ids": "item_id", "queries": "query"}


def distinct_events(events: DataFrame) -> DataFrame:
    """One row an event_id: across days the smallest ds wins, so the order of ingests does not matter."""
    first = F.min(F.struct("ds", "user_id", *_EVENT))
    return events.groupBy(F.col("event_id").alias("_id")).agg(first.alias("_e")).select("_e.*")


def full_histories(events: DataFrame, ds: date, n_max: int) -> DataFrame:
    """Histories of ``ds`` from all events: ``ds <= D`` and ``event_time < as_of(D)`` (rows of contract USER_HISTORIES)."""
    return _gathered(known_events(events, ds), ds, n_max)


def advanced_histories(base: DataFrame, base_ds: date, events: DataFrame, ds: date, n_max: int) -> DataFrame:
    """Histories of ``ds`` from those of ``base_ds`` and the events that arrived after it; equals ``full_histories``."""
    return _gathered(known_events_since(base, base_ds, events, ds), ds, n_max)


def known_events(events: DataFrame, ds: date) -> DataFrame:
    """The events known by the end of ``ds``, once each: their arrival ``ds``, user_id and what a history holds of them."""
    return distinct_events(events.where((F.col("ds") <= F.lit(ds)) & (F.col("event_time") < F.lit(as_of(ds)))))


def known_events_since(base: DataFrame, base_ds: date, events: DataFrame, ds: date) -> DataFrame:
    """``known_events`` of ``ds``, from the histories of ``base_ds`` and the events that arrived after it.

    An event_id that arrived by ``base_ds`` counts there, even where the history has since dropped it. The arrival of all events of
    the histories is given as ``base_ds``.
    """
    known = events.where((F.col("ds") <= F.lit(ds)) & (F.col("event_time") < F.lit(as_of(ds))))
    kept = history_events(base)  # events past their retention are known from here alone
    seen = known.where(F.col("ds") <= F.lit(base_ds)).select("event_id").unionByName(kept.select("event_id"))
    arrived = distinct_events(known.where(F.col("ds") > F.lit(base_ds))).join(seen, "event_id", "left_anti")
    columns = ("ds", "user_id", *_EVENT)
    return kept.withColumn("ds", F.lit(base_ds)).select(*columns).unionByName(arrived.select(*columns))


def history_events(histories: DataFrame) -> DataFrame:
    """One row an event of every history: user_id, event_time, event_id, event_type, item_id, query."""
    zipped = F.arrays_zip(*[F.col(array).alias(field) for array, field in _ARRAYS.items()])
    return histories.select("user_id", F.explode(zipped).alias("_e")).select("user_id", *[f"_e.{field}" for field in _EVENT])


def _gathered(events: DataFrame, ds: date, n_max: int) -> DataFrame:
    newest_first = Window.partitionBy("user_id").orderBy(F.desc("event_time"), F.desc("event_id"))
    newest = events.withColumn("_n", F.row_number().over(newest_first)).where(F.col("_n") <= n_max)
    gathered = newest.groupBy("user_id").agg(F.sort_array(F.collect_list(F.struct(*_EVENT))).alias("_h"))
    arrays = {array: F.col(f"_h.{field}") for array, field in _ARRAYS.items()}
    return gathered.select("user_id", F.lit(ds).alias("ds"), *[column.alias(name) for name, column in arrays.items()])
