"""Checked rows of a source of requests -> rows of the table requests, each with its verdict."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.transforms.arrivals import Arrival
from jobs.transforms.contract_check import PLACE, VERDICT, first_verdict, place_of_rejected
from schemas import names, reasons
from schemas.contracts import CONTRACTS


def judge_requests(checked: DataFrame, arrival: Arrival) -> DataFrame:
    """The contract's columns, PLACE and VERDICT. A request_id is kept once a ds, the first by (source_file, row_number)."""
    time = F.col("request_time")
    judged = checked.withColumn("ds", arrival.day(time)).withColumn(VERDICT, first_verdict(*arrival.refusals(time)))
    alike = Window.partitionBy(place_of_rejected(), "ds", "request_id").orderBy(*PLACE)
    verdict = first_verdict((F.row_number().over(alike) > 1, reasons.DUPLICATE_REQUEST))
    return judged.withColumn(VERDICT, verdict).select(*CONTRACTS[names.REQUESTS].names, *PLACE, VERDICT)
