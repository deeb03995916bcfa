"""The gate of ranking features: every impression once, no vector from the future, a reason for every null."""

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
from schemas.gate_rules import IMPRESSIONS, RANKING_RULES, RankingRules

_CONTRACT = CONTRACTS[names.RANKING_FEATURES_STAGED]
_NO_VECTOR = (names.NO_HISTORY, names.NOT_PUBLISHED, names.TRAINED_AFTER)
_REASONS = (*_NO_VECTOR, names.NO_ITEM_VECTOR)
_OWN = ("user_id", "impression_time", "clicked")
_FLAGS = ("same_impression", "known_reasons", "vector_or_reason", "cosine_or_reason", "point_in_time")


def check_ranking_features(
    spark: SparkSession,
    *,
    staged: DataFrame,
    impressions: DataFrame,
    space_id: str,
    dimension: int,
    docs_dir: Path,
    ds: date,
    allow_trained_after: bool = False,
    rules: RankingRules = RANKING_RULES,
) -> Verdict:
    """Judge one staged day of ranking features in one space.

    Args:
        staged: rows of one (ds, space, run), contract ranking_features_staged.
        impressions: the impressions of ds.
        dimension: of the space's vectors.
        docs_dir: folder under which the Data Docs are built, whatever the verdict.
        allow_trained_after: whether a row may carry a vector beside the reason trained_after, its mark.

    Raises:
        SpaceMixError: staged holds rows of another space.
    """
    gate = Gate(
        spark=spark, contract=_CONTRACT, frames=(IMPRESSIONS,), space_id=space_id, ds=ds, docs_dir=docs_dir, rules=rules
    )  # fmt: skip

    def judged() -> Judged:
        scalars = _scalars(staged, impressions, allow_trained_after).transform(materialised)
        batches = {IMPRESSIONS: scalars.where("is_staged")}
        return Judged(rules=_declared(scalars, dimension, rules), batches=batches)

    return run_gate(gate, staged, judged)


def _scalars(staged: DataFrame, impressions: DataFrame, allow_trained_after: bool) -> DataFrame:
    """The flat frame of ``scalar_frame``; each of ``_FLAGS`` is 0 where the row keeps the rule of that name, else 1.

    dimension, non_finite and norm are null where the row has no vector.
    """
    # As JSON two columns make one key that no value can make ambiguous.
    key = F.to_json(F.struct("request_id", "item_id")).alias("key")
    carried = [*_OWN, "has_vector", "candidate_cosine", "null_columns", *_FLAGS[1:]]
    rows = staged.withColumn("has_vector", F.col("interest_embedding").isNotNull()).select(
        key,
        F.lit("").alias("identity"),
        F.col("interest_embedding").alias("vector"),
        F.lit(None).cast("array<float>").alias("previous_vector"),
        *_OWN,
        "has_vector",
        "candidate_cosine",
        null_columns(_CONTRACT).alias("null_columns"),
        *(broken(rule).alias(name) for name, rule in _row_rules(allow_trained_after).items()),
    )
    expected = impressions.select(key, *(F.col(name).alias(f"expected_{name}") for name in _OWN))
    same = F.lit(True)
    for name in _OWN:
        same = same & F.col(name).eqNullSafe(F.col(f"expected_{name}"))
    frame = scalar_frame(rows, expected, carried).withColumn("same_impression", broken(same | ~F.col("is_expected")))
    for name in ("dimension", "non_finite", "norm"):
        frame = frame.withColumn(name, F.when(F.col("has_vector"), F.col(name)))
    return frame


def _row_rules(allow_trained_after: bool) -> dict[str, Column]:
    """Conditions on one staged row, by rule."""
    reason, has_vector = F.coalesce("missing_reason", F.lit("")), F.col("has_vector")
    beside_a_vector = ("", names.NO_ITEM_VECTOR, *((names.TRAINED_AFTER,) if allow_trained_after else ()))
    may_lack_cosine = ~has_vector | reason.isin(names.NO_ITEM_VECTOR, names.TRAINED_AFTER)
    has_cosine = F.col("candidate_cosine").isNotNull()
    dated = F.col("vector_ds").isNotNull() & F.col("vector_age").isNotNull() & F.col("last_event_age").isNotNull()
    in_time = (
        null_or("vector_ds", F.col("vector_ds") < F.to_date("impression_time"))
        & null_or("vector_age", (F.col("vector_age") >= 0) & ~F.isnan("vector_age"))
        & null_or("last_event_age", (F.col("last_event_age") >= F.col("vector_age")) & ~F.isnan("last_event_age"))
    )
    return {
        "known_reasons": reason.isin("", *_REASONS),
        "vector_or_reason": F.when(has_vector, reason.isin(*beside_a_vector)).otherwise(reason.isin(*_NO_VECTOR)),
        "cosine_or_reason": F.when(has_cosine, has_vector & (reason != names.NO_ITEM_VECTOR)).otherwise(may_lack_cosine),
        "point_in_time": in_time & (dated | ~has_vector),
    }


def _declared(scalars: DataFrame, dimension: int, rules: RankingRules) -> list[Rule]:
    facts, met = key_facts(IMPRESSIONS, scalars, vectors=F.col("has_vector"), cosines=F.col("candidate_cosine").isNotNull())
    no_cosine = None if met["cosines"] else "no row has a candidate_cosine"
    missing = 1 - met["vectors"] / facts.rows if facts.rows else 0.0
    return [
        *count_rules(facts, rules),
        *row_rules(facts, rules),
        *vector_rules(facts, rules, dimension, vectors=met["vectors"]),
        *(facts.every_row(name, getattr(rules, name), name) for name in _FLAGS),
        facts.every_row("candidate_cosine", rules.candidate_cosine, "candidate_cosine", absent=no_cosine, skips_nulls=True),
        facts.figure("missing_share", rules.missing_share, missing, absent=facts.absent(rules.missing_share)),
    ]
