"""Checked rows of a source of events -> rows of the table events, each with its verdict."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.transforms.arrivals import Arrival
from jobs.transforms.contract_check import PLACE, VERDICT, first_verdict, place_of_rejected
from jobs.transforms.unambiguous import joined, marked
from schemas import names, reasons
from schemas.contracts import CONTRACTS

_EVENT_ID_DIGITS = 32


def judge_events(checked: DataFrame, arrival: Arrival) -> DataFrame:
    """The contract's columns, PLACE and VERDICT. An unknown item is no fault.

    event_id, where the source has none, is a digest of the source columns and of the ordinal among identical rows of that ds, so
    that a rerun makes the same ids and no identical row is lost. An event_id that the source repeats within a ds is kept once,
    the first by (source_file, row_number).
    """
    time = F.col("event_time")
    verdict = first_verdict(
        (~F.col("event_type").isin(*names.EVENT_TYPES), reasons.UNKNOWN_EVENT_TYPE),
        (F.col("item_id").isNull() & F.col("query").isNull(), reasons.NEITHER_ITEM_NOR_QUERY),
        *arrival.refusals(time),
    )
    return _identified(checked.withColumn("ds", arrival.day(time)).withColumn(VERDICT, verdict))


def _identified(judged: DataFrame) -> DataFrame:
    own = F.col("event_id").isNotNull()
    identity = F.coalesce(F.col("event_id"), F.sha2(_source_text(), 256))
    alike = Window.partitionBy(place_of_rejected(), "ds", own, "__identity").orderBy(*PLACE)
    counted = judged.withColumn("__identity", identity).withColumn("__ordinal", F.row_number().over(alike) - 1)
    made = F.substring(F.sha2(joined([F.col("__identity"), F.col("__ordinal").cast("string")]), 256), 1, _EVENT_ID_DIGITS)
    repeated = own & (F.col("__ordinal") > 0)
    verdict = first_verdict((repeated, reasons.DUPLICATE_EVENT_ID))
    identified = counted.withColumn(VERDICT, verdict).withColumn("event_id", F.when(own, F.col("event_id")).otherwise(made))
    return identified.select(*CONTRACTS[names.EVENTS].names, *PLACE, VERDICT)


def _source_text() -> Column:
    """Everything that the source says of an event; times in microseconds, so that no rendering loses any."""
    texts = ("user_id", F.unix_micros("event_time").cast("string"), "event_type", "item_id", "query", F.col("value").cast("string"))
    return joined(marked(F.col(text) if isinstance(text, str) else text) for text in texts)
