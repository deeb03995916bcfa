"""The gate of request embeddings: every request once, nothing read from after it, a reason for every null."""

from datetime import date
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.gate.rules import Rule, count_rules, row_rules, vector_rules
from jobs.gate.scalars import broken, key_facts, materialised, null_columns, null_or, scalar_frame
from jobs.gate.session import Gate, Judged, run_gate
from jobs.gate.verdict import Verdict
from schemas import names
from schemas.contracts import CONTRACTS
from schemas.gate_rules import REQUEST_RULES, REQUESTS, RequestRules

_CONTRACT = CONTRACTS[names.REQUEST_EMBEDDINGS_STAGED]
_OWN = ("user_id", "request_time", "query")
_FLAGS = ("same_request", "known_reasons", "vector_or_reason", "point_in_time")


def check_requests(
    spark: SparkSession,
    *,
    staged: DataFrame,
    requests: DataFrame,
    space_id: str,
    dimension: int,
    docs_dir: Path,
    ds: date,
    allow_trained_after: bool = False,
    rules: RequestRules = REQUEST_RULES,
) -> Verdict:
    """Judge one staged day of request embeddings in one space.

    Args:
        staged: rows of one (ds, space, run), contract request_embeddings_staged.
        requests: request_id, user_id, request_time, query of the day, each request once.
        dimension: of the space's vectors.
        docs_dir: folder under which the Data Docs are built, whatever the verdict.
        allow_trained_after: whether a row may carry a vector beside the reason trained_after, its mark.

    Raises:
        SpaceMixError: staged holds rows of another space.
    """
    gate = Gate(
        spark=spark, contract=_CONTRACT, frames=(REQUESTS,), space_id=space_id, ds=ds, docs_dir=docs_dir, rules=rules
    )  # fmt: skip

    def judged() -> Judged:
        scalars = _scalars(staged, requests, allow_trained_after).transform(materialised)
        return Judged(rules=_declared(scalars, dimension, rules), batches={REQUESTS: scalars.where("is_staged")})

    return run_gate(gate, staged, judged)


def _scalars(staged: DataFrame, requests: DataFrame, allow_trained_after: bool) -> DataFrame:
    """The flat frame of ``scalar_frame``; each of ``_FLAGS`` is 0 where the row keeps the rule of that name, else 1.

    dimension, non_finite and norm are null where the row has no vector.
    """
    key = F.col("request_id").alias("key")
    rows = staged.withColumn("has_vector", F.col("embedding").isNotNull()).select(
        key,
        F.lit("").alias("identity"),
        F.col("embedding").alias("vector"),
        F.lit(None).cast("array<float>").alias("previous_vector"),
        *_OWN,
        "has_vector",
        null_columns(_CONTRACT).alias("null_columns"),
        *(broken(rule).alias(name) for name, rule in _row_rules(allow_trained_after).items()),
    )
    expected = requests.select(key, *(F.col(name).alias(f"expected_{name}") for name in _OWN))
    same = F.lit(True)
    for name in _OWN:
        same = same & F.col(name).eqNullSafe(F.col(f"expected_{name}"))
    frame = scalar_frame(rows, expected, [*_OWN, "has_vector", "null_columns", *_FLAGS[1:]])
    frame = frame.withColumn("same_request", broken(same | ~F.col("is_expected")))
    for name in ("dimension", "non_finite", "norm"):
        frame = frame.withColumn(name, F.when(F.col("has_vector"), F.col(name)))
    return frame


def _row_rules(allow_trained_after: bool) -> dict[str, Column]:
    """Conditions on one staged row, by rule."""
    reason, has_vector = F.coalesce("missing_reason", F.lit("")), F.col("has_vector")
    asked, read = F.col("query").isNotNull(), F.col("fingerprint").isNotNull()
    beside_a_vector = ("", *((names.TRAINED_AFTER,) if allow_trained_after else ()))
    reasoned = F.when(has_vector, asked & read & reason.isin(*beside_a_vector)).otherwise(~read & (reason != ""))
    trained_before = (F.col("trained_until") <= F.col("request_time")) | (reason != "")
    last = F.col("last_event_time")
    return {
        "known_reasons": reason.isin("", names.NO_QUERY, names.TRAINED_AFTER),
        "vector_or_reason": reasoned,
        "point_in_time": trained_before
        & null_or("last_event_time", last < F.col("request_time"))
        & (last.isNull() == (F.col("history_len") == 0)),
    }


def _declared(scalars: DataFrame, dimension: int, rules: RequestRules) -> list[Rule]:
    facts, met = key_facts(REQUESTS, scalars, vectors=F.col("has_vector"))
    missing = 1 - met["vectors"] / facts.rows if facts.rows else 0.0
    return [
        *count_rules(facts, rules),
        *row_rules(facts, rules),
        *vector_rules(facts, rules, dimension, vectors=met["vectors"]),
        *(facts.every_row(name, getattr(rules, name), name) for name in _FLAGS),
        facts.figure("missing_share", rules.missing_share, missing, absent=facts.absent(rules.missing_share)),
    ]
