"""What the encoder reads for a request: the newest events before it, and the query last. Nothing that was not known then (P1)."""

from datetime import date, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.transforms.interest_inputs import encoder_inputs
from jobs.transforms.temporal_join import point_in_time_join, point_in_time_newest
from schemas import names

_EVENT = ("event_time", "event_id", "event_type", "item_id", "query")


def requests_of(requests: DataFrame, impressions: DataFrame, ds: date) -> DataFrame:
    """The requests that ``ds`` brought, once a request_id: request_id, user_id, request_time, query (null: an impression without one).

    Of several rows with one request_id the smallest ds says what was asked, as with events; on one ds the table of requests before
    that of impressions, and among impressions the earliest, one with a query first.

    Args:
        requests: contract REQUESTS.
        impressions: contract IMPRESSIONS.
    """
    asked = requests.select("request_id", "ds", F.lit(0).alias("source"), "request_time", "query", "user_id")
    shown = impressions.select(
        "request_id", "ds", F.lit(1).alias("source"), F.col("impression_time").alias("request_time"), "query", "user_id"
    )
    both = asked.unionByName(shown)
    oldest = both.where(F.col("ds") == F.lit(ds)).agg(F.to_date(F.min("request_time")).alias("ds")).collect()[0]["ds"]
    arrived = both.where((F.col("ds") >= F.lit(oldest or ds)) & (F.col("ds") <= F.lit(ds)))  # none arrives before it happened
    rank = F.struct("ds", "source", "request_time", F.col("query").isNull().alias("unasked"), "query", "user_id")
    first = arrived.groupBy("request_id").agg(F.min(rank).alias("_r"))
    return first.where(F.col("_r.ds") == F.lit(ds)).select("request_id", "_r.user_id", "_r.request_time", "_r.query")


def request_inputs(requests: DataFrame, events: DataFrame, items: DataFrame, history_length: int) -> DataFrame:
    """One row a request, with what the encoder reads for it.

    A request at t, on the UTC day d, knows what a live store would know at t, days of arrival being the finest that is told:
    the user's events with ``event_time < t`` (exclusive) that arrived by d, late ones included, and of each item the newest version with
    ``valid_from <= t`` (inclusive) that arrived by d. So it also reads events of its own day, which no published snapshot holds yet.

    Args:
        requests: request_id (unique), user_id, request_time, query.
        events: what may be read: ds (arrival), user_id, event_time, event_id, event_type, item_id, query; each event once.
        items: contract ITEMS.
        history_length: events that the encoder reads; the query is the last of them.

    Returns: the columns of ``requests``; history_len (events before the query, at most ``history_length - 1``) and last_event_time
        (null where there are none); content_hashes, event_types, queries (parallel arrays, oldest first, the query last), unknown_items
        and fingerprint as in ``interest_inputs``, null where there is neither an event nor a query.
    """
    known_from = F.greatest(F.col("event_time") + F.expr("INTERVAL 1 MICROSECOND"), _begin("ds"))
    histories = point_in_time_newest(
        requests, events.withColumn("_known_from", known_from),
        key=("request_id",), on=("user_id",), at="request_time", known_from="_known_from", take=_EVENT, n=history_length - 1, into="_h",
    )  # fmt: skip
    facts = histories.select(
        *requests.columns, F.size("_h").alias("history_len"), F.try_element_at("_h", F.lit(-1))["event_time"].alias("last_event_time")
    )
    return facts.join(encoder_inputs(_with_contents(_tokens(histories), items), "request_id"), "request_id", "left")


def with_reasons(inputs: DataFrame, trained_until: datetime, allow_trained_after: bool) -> DataFrame:
    """``inputs`` with trained_until and missing_reason; what has no vector loses its fingerprint.

    ``allow_trained_after``: requests from before ``trained_until`` get a vector too; missing_reason is then a mark.
    """
    unasked, leaks = F.col("query").isNull(), F.lit(trained_until) > F.col("request_time")
    reason = F.when(unasked, F.lit(names.NO_QUERY)).when(leaks, F.lit(names.TRAINED_AFTER))
    usable = ~unasked & (F.lit(allow_trained_after) | ~leaks)
    return inputs.withColumns(
        {"trained_until": F.lit(trained_until), "missing_reason": reason, "fingerprint": F.when(usable, F.col("fingerprint"))}
    )


def _tokens(histories: DataFrame) -> DataFrame:
    """One row a token: the events of ``_h``, and the query as an event without an item, after them."""
    query = F.struct(
        F.lit(None).cast("timestamp").alias("event_time"),
        F.lit(None).cast("string").alias("event_id"),
        F.lit(names.QUERY).alias("event_type"),
        F.lit(None).cast("string").alias("item_id"),
        F.col("query"),
    )
    asked = F.when(F.col("query").isNotNull(), F.array_append("_h", query)).otherwise(F.col("_h"))
    tokens = histories.select("request_id", F.col("request_time").alias("_at"), F.posexplode(asked).alias("position", "_e"))
    return tokens.select("request_id", "_at", "position", *[F.col(f"_e.{name}").alias(name) for name in ("item_id", "event_type", "query")])


def _with_contents(tokens: DataFrame, items: DataFrame) -> DataFrame:
    """content_hash of the item version that held for each token, null where the item is unknown or there is none."""
    versions = items.select(
        "item_id", "valid_from", F.greatest("valid_from", _begin("ds")).alias("_known_from"), F.col("ds").alias("item_ds"), "content_hash"
    )
    # Tokens without an item would meet in one partition of the join.
    of_items, others = tokens.where(F.col("item_id").isNotNull()), tokens.where(F.col("item_id").isNull())
    known = point_in_time_join(
        of_items, versions, on=("item_id",), at="_at", known_from="_known_from", newest_by="valid_from", take=("item_ds", "content_hash")
    )
    return known.drop("item_ds").unionByName(others.withColumn("content_hash", F.lit(None).cast("string")))


def _begin(ds: str) -> Column:
    """00:00 UTC of a DATE column: from then on a request may know what arrived on that day."""
    return F.col(ds).cast("timestamp")
