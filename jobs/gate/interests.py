"""The gate of interest embeddings: the rows encoded today and the whole snapshot must both pass."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.gate.rules import FrameFacts, Rule, cloud_rules, count_rules, row_rules, vector_rules
from jobs.gate.scalars import count_if, examples, materialised, null_columns, scalar_frame, usable
from jobs.gate.session import Gate, Judged, run_gate
from jobs.gate.verdict import Verdict
from karma.evaluation.spectrum import Moments
from schemas import names
from schemas.contracts import CONTRACTS
from schemas.gate_rules import ACTIVITY_BUCKETS, ENCODED_TODAY, INTEREST_RULES, SNAPSHOT, InterestRules
from udfs.vector_statistics import moments_by_cloud

_CONTRACT = CONTRACTS[names.INTEREST_EMBEDDINGS_STAGED]
_FRAMES = (ENCODED_TODAY, SNAPSHOT)


def check_interests(
    spark: SparkSession,
    *,
    staged: DataFrame,
    expected_users: DataFrame,
    previous: DataFrame | None,
    space_id: str,
    ds: date,
    dimension: int,
    docs_dir: Path,
    rules: InterestRules = INTEREST_RULES,
) -> Verdict:
    """Judge one staged day of one space.

    Args:
        staged: rows of one (ds, space, run), contract interest_embeddings_staged.
        expected_users: user_id, history_len (events): the users of user_histories of ds.
        previous: interest_embeddings rows of the previous published snapshot of this space; None where there is none.
        dimension: of the space's vectors.
        docs_dir: folder under which the Data Docs are built, whatever the verdict.

    Raises:
        SpaceMixError: staged or previous holds rows of another space.
    """
    gate = Gate(
        spark=spark, contract=_CONTRACT, frames=_FRAMES, space_id=space_id, ds=ds, docs_dir=docs_dir, rules=rules
    )  # fmt: skip

    def judged() -> Judged:
        scalars = _scalars(staged, expected_users, previous, ds, dimension).transform(materialised)
        moments = moments_by_cloud(staged.select((F.col("encoded_ds") == ds).alias("cloud"), F.col("embedding").alias("vector")), dimension)
        declared = _declared(scalars, moments, dimension, rules, has_previous=previous is not None)
        batches = {frame: scalars.where(_staged_in(frame)) for frame in _FRAMES}
        return Judged(rules=declared, batches=batches)

    return run_gate(gate, staged, judged, previous=previous)


def _scalars(staged: DataFrame, expected_users: DataFrame, previous: DataFrame | None, ds: date, dimension: int) -> DataFrame:
    """The flat frame of ``scalar_frame``, with encoded_today, cosine_unchanged, cosine_changed and expected_len.

    A cosine is null where the user has no usable vector today or had none in ``previous``.
    """
    no_past = staged.sparkSession.createDataFrame([], "user_id string, previous_vector array<float>, previous_fingerprint string")
    past = no_past if previous is None else previous.select(
        "user_id", F.col("embedding").alias("previous_vector"), F.col("fingerprint").alias("previous_fingerprint")
    )  # fmt: skip
    rows = staged.join(past, "user_id", "left").select(
        F.col("user_id").alias("key"),
        F.col("fingerprint").alias("identity"),
        F.col("embedding").alias("vector"),
        "previous_vector",
        # A null day is a null column, and belongs to the snapshot alone.
        F.coalesce(F.col("encoded_ds") == ds, F.lit(False)).alias("encoded_today"),
        (F.col("fingerprint") == F.col("previous_fingerprint")).alias("same_fingerprint"),
        null_columns(_CONTRACT).alias("null_columns"),
    )
    users = expected_users.select(F.col("user_id").alias("key"), F.col("history_len").alias("expected_len"))
    frame = scalar_frame(rows, users, ["encoded_today", "same_fingerprint", "null_columns"])
    cosine = F.when(usable(dimension), F.col("cosine_previous"))
    return (
        frame.fillna(False, ["encoded_today"])
        .withColumn("cosine_unchanged", F.when(F.col("same_fingerprint"), cosine))
        .withColumn("cosine_changed", F.when(~F.col("same_fingerprint"), cosine))
    )


def _staged_in(frame: str) -> Column:
    return F.col("is_staged") & F.col("encoded_today") if frame == ENCODED_TODAY else F.col("is_staged")


def _expected_in(frame: str) -> Column:
    """One row a user expected in the frame: those encoded today are all users who are not carried."""
    carried = F.col("is_staged") & ~F.col("encoded_today")
    expected = F.col("is_expected") & F.col("first_of_key")
    return expected & ~carried if frame == ENCODED_TODAY else expected


def _counts(frame: str, dimension: int) -> list[Column]:
    staged, expected = _staged_in(frame), _expected_in(frame)
    counts = {
        "rows": count_if(staged),
        "expected": count_if(expected),
        "missing": count_if(expected & ~F.col("is_staged")),
        "extra": count_if(staged & ~F.col("is_expected")),
        "shared": count_if(staged & F.col("shares_vector")),
        "unchanged": count_if(staged & F.col("cosine_unchanged").isNotNull()),
        "changed": count_if(staged & F.col("cosine_changed").isNotNull()),
        "cosine_changed": F.avg(F.when(staged, F.col("cosine_changed"))),
    }
    for name, low, high in ACTIVITY_BUCKETS:
        bucket = expected & F.col("expected_len").between(low, high)
        counts[f"expected_{name}"] = count_if(bucket)
        counts[f"covered_{name}"] = count_if(bucket & usable(dimension))
    return [column.alias(f"{frame}_{name}") for name, column in counts.items()]


def _declared(
    scalars: DataFrame, moments: Mapping[bool, Moments], dimension: int, rules: InterestRules, *, has_previous: bool
) -> list[Rule]:
    counts = scalars.agg(*(column for frame in _FRAMES for column in _counts(frame, dimension))).collect()[0]
    clouds = {ENCODED_TODAY: moments[True], SNAPSHOT: moments[True] + moments[False]}
    declared = []
    for frame in _FRAMES:
        found = {name.removeprefix(f"{frame}_"): counts[name] for name in counts.asDict() if name.startswith(f"{frame}_")}
        facts = _facts(frame, found, scalars, clouds[frame])
        declared += count_rules(facts, rules) + row_rules(facts, rules) + vector_rules(facts, rules, dimension)
        declared += cloud_rules(facts, rules) + _drift_rules(facts, found, rules, has_previous=has_previous)
        declared += _coverage_rules(facts, found, rules)
    return declared


def _facts(frame: str, found: Mapping[str, Any], scalars: DataFrame, cloud: Moments) -> FrameFacts:
    return FrameFacts(
        frame=frame, rows=found["rows"], expected_rows=found["expected"], missing=found["missing"], extra=found["extra"],
        shared=found["shared"], moments=cloud,
        missing_examples=examples(scalars, _expected_in(frame) & ~F.col("is_staged"), found["missing"]),
        extra_examples=examples(scalars, _staged_in(frame) & ~F.col("is_expected"), found["extra"]),
    )  # fmt: skip


def _drift_rules(facts: FrameFacts, found: Mapping[str, Any], rules: InterestRules, *, has_previous: bool) -> list[Rule]:
    """Each user's vector beside the same user's vector in the previous snapshot."""
    nothing_before = None if has_previous else "no previous published snapshot in this space"

    def absent(count: int, needs: int, what: str) -> str | None:
        return nothing_before or (f"{count} {what}, needs {needs}" if count < needs else None)

    unchanged = absent(found["unchanged"], rules.cosine_unchanged.needs, "users with an unchanged fingerprint")
    changed = absent(found["changed"], rules.cosine_changed.needs, "users with a changed fingerprint")
    mean = found["cosine_changed"]
    return [
        facts.every_row("cosine_unchanged", rules.cosine_unchanged, "cosine_unchanged", absent=unchanged, skips_nulls=True),
        facts.figure("cosine_changed", rules.cosine_changed, float("nan") if mean is None else mean, absent=changed),
    ]


def _coverage_rules(facts: FrameFacts, found: Mapping[str, Any], rules: InterestRules) -> list[Rule]:
    """Share of the expected users of each activity bucket that have a usable vector."""
    declared = []
    for name, _, _ in ACTIVITY_BUCKETS:
        users, covered = found[f"expected_{name}"], found[f"covered_{name}"]
        absent = facts.absent(rules.coverage, users, "expected users in this bucket")
        declared.append(facts.figure(f"coverage_{name}", rules.coverage, covered / users if users else 0.0, absent=absent))
    return declared
