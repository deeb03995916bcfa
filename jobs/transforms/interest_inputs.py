"""What the encoder reads for a user: the newest events as flat arrays, and the fingerprint of exactly that (P5c)."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.transforms.days import as_of_column
from udfs.interest_udf import UNKNOWN_ITEM

INPUTS_VERSION = "1"
"""Part of every fingerprint: raise it when the same history would give the encoder other inputs, and nobody is carried."""


def interest_inputs(histories: DataFrame, versions: DataFrame, history_length: int) -> DataFrame:
    """One row a user of ``histories`` (one ds), with what the encoder reads.

    Args:
        histories: contract USER_HISTORIES, one day.
        versions: item_id, content_hash: one row an item, as of the same day.
        history_length: events that the encoder reads, the newest ones.

    Returns: user_id, ds, history_len, last_event_time, as_of, content_hashes, event_types, queries (parallel arrays,
        oldest first), unknown_items (events of the arrays whose item is unknown), fingerprint.
    """
    newest = {
        name: F.slice(name, F.greatest(F.size(name) - history_length + 1, F.lit(1)), history_length)
        for name in ("item_ids", "event_types", "queries")
    }
    cut = histories.select("user_id", *[column.alias(name) for name, column in newest.items()])
    events = cut.select("user_id", F.posexplode(F.arrays_zip("item_ids", "event_types", "queries")).alias("position", "_e")).select(
        "user_id",
        "position",
        F.col("_e.item_ids").alias("item_id"),
        F.col("_e.event_types").alias("event_type"),
        F.col("_e.queries").alias("query"),
    )
    inputs = encoder_inputs(events.join(versions.select("item_id", "content_hash"), "item_id", "left"), "user_id")
    facts = histories.select(
        "user_id",
        "ds",
        F.size("event_ids").alias("history_len"),
        F.element_at("event_times", -1).alias("last_event_time"),
        as_of_column().alias("as_of"),
    )
    return facts.join(inputs, "user_id")


def encoder_inputs(events: DataFrame, key: str) -> DataFrame:
    """One row a ``key`` of ``events``, with what the encoder reads of it.

    Args:
        events: ``key``, position (orders the events of a key), item_id (null: a query alone), content_hash (null: the item is
            unknown), event_type, query.

    Returns: ``key``, content_hashes, event_types, queries, unknown_items, fingerprint, as ``interest_inputs`` says.
    """
    content = F.when(F.col("item_id").isNotNull(), F.coalesce("content_hash", F.lit(UNKNOWN_ITEM)))
    read = events.select(key, F.struct("position", content.alias("content_hash"), "event_type", "query").alias("_e"))
    gathered = read.groupBy(key).agg(F.sort_array(F.collect_list("_e")).alias("_h"))
    return gathered.select(
        key,
        F.col("_h.content_hash").alias("content_hashes"),
        F.col("_h.event_type").alias("event_types"),
        F.col("_h.query").alias("queries"),
        F.size(F.filter("_h", lambda event: event["content_hash"] == UNKNOWN_ITEM)).alias("unknown_items"),
        _fingerprint(F.col("_h")).alias("fingerprint"),
    )


def _fingerprint(events: Column) -> Column:
    """sha256 over the events in order, as JSON: no text that a user typed can pass for another field."""
    return F.sha2(F.concat(F.lit(INPUTS_VERSION), F.to_json(events)), 256)
