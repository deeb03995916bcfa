"""check_ranking_features: every impression once, a reason for every null, nothing from the future."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from jobs import gate
from schemas import names
from schemas.contracts import CONTRACTS
from schemas.gate_rules import RANKING_RULES
from tests.gate.days import DIMENSION, DS, SPACE, Row, frame, unit

NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
HOUR = 3600.0
VECTOR = unit(np.random.default_rng(8).normal(size=DIMENSION)).tolist()
NO_VECTOR: Row = {
    "vector_ds": None, "vector_age": None, "last_event_age": None, "candidate_cosine": None, "interest_embedding": None,
}  # fmt: skip


def impression(number: int) -> Row:
    return {
        "request_id": f"r{number:02d}", "item_id": "i1", "ds": DS, "user_id": f"u{number}", "impression_time": NOON,
        "query": None, "position": 1, "clicked": number % 3 == 0,
    }  # fmt: skip


def joined(number: int, **values: Any) -> Row:
    """The features of an impression at noon, from yesterday's snapshot (as of midnight) and an event two hours before that."""
    shown = {name: value for name, value in impression(number).items() if name not in ("query", "position")}
    features = {
        "space_id": SPACE, "run_id": "run-1", "vector_ds": DS - dt.timedelta(days=1), "vector_age": 12 * HOUR,
        "last_event_age": 14 * HOUR, "candidate_cosine": 0.25, "missing_reason": None, "interest_embedding": VECTOR,
    }  # fmt: skip
    return {**shown, **features, **values}


def key(number: int) -> str:
    return f'{{"request_id":"r{number:02d}","item_id":"i1"}}'


GOOD: list[Row] = [
    *(joined(i) for i in range(5)),
    joined(5, missing_reason=names.NOT_PUBLISHED, **NO_VECTOR),
    joined(6, missing_reason=names.NO_HISTORY, **{**NO_VECTOR, "vector_ds": DS - dt.timedelta(days=1), "vector_age": 12 * HOUR}),
    joined(7, missing_reason=names.TRAINED_AFTER, **NO_VECTOR),
    joined(8, missing_reason=names.NO_ITEM_VECTOR, candidate_cosine=None),
    joined(9, candidate_cosine=-1.0),
]


def check(spark: SparkSession, rows: list[Row], docs_dir: Path, impressions: int = 10, **options: Any) -> gate.Verdict:
    return gate.check_ranking_features(
        spark,
        staged=frame(spark, rows, CONTRACTS[names.RANKING_FEATURES_STAGED].ddl),
        impressions=frame(spark, [impression(i) for i in range(impressions)], CONTRACTS[names.IMPRESSIONS].ddl),
        space_id=SPACE,
        dimension=DIMENSION,
        docs_dir=docs_dir,
        ds=DS,
        **options,
    )


def observed(verdict: gate.Verdict) -> dict[str, str]:
    return {result.rule: result.observed for result in verdict.with_status(gate.FAILED)}


def outside(*offenders: tuple[int, object], of: int) -> str:
    return f"{len(offenders)} of {of} rows outside: " + ", ".join(f"{key(number)} ({value})" for number, value in offenders)


def test_a_good_join_passes_and_reports_the_share_without_a_vector(spark: SparkSession, tmp_path: Path) -> None:
    verdict = check(spark, GOOD, tmp_path)
    assert verdict.passed, verdict.failures_in_words()
    assert {r.rule: r.observed for r in verdict.rules}["missing_share"] == "0.3"
    assert verdict.with_status(gate.NOT_APPLICABLE) == ()


def test_every_bad_row_is_found_by_its_rule_and_named(spark: SparkSession, tmp_path: Path) -> None:
    """Each row breaks one thing."""
    yesterday = DS - dt.timedelta(days=1)
    rows = [
        joined(0, interest_embedding=None, candidate_cosine=None),
        joined(1, missing_reason=names.NO_HISTORY),
        joined(2, missing_reason=names.TRAINED_AFTER),
        joined(3, missing_reason="tired"),
        joined(4, candidate_cosine=1.01),
        joined(5, candidate_cosine=float("nan")),
        joined(6, candidate_cosine=None),
        joined(7, missing_reason=names.NO_ITEM_VECTOR),
        joined(8, vector_ds=DS),
        joined(9, vector_age=-1.0),
        joined(10, vector_age=float("nan")),
        joined(11, last_event_age=11 * HOUR),
        joined(12, vector_ds=None),
        joined(13, missing_reason=names.NO_HISTORY, **{**NO_VECTOR, "vector_ds": yesterday, "vector_age": -1.0}),
        joined(14, clicked=True),
        joined(15, impression_time=NOON + dt.timedelta(seconds=1)),
        joined(16, user_id=None),
        joined(17, interest_embedding=[2 * value for value in VECTOR]),
        joined(18),
        joined(18),
        joined(99),
    ]
    verdict = check(spark, rows, tmp_path, impressions=20)
    assert observed(verdict) == {
        "missing_rows": f"1: {key(19)}",
        "row_count": "21",
        "extra_rows": f"1: {key(99)}",
        "no_nulls": outside((16, 1), of=21),
        "keys_unique": outside((18, 2), (18, 2), of=21),
        "unit_norm": outside((17, 2), of=19),
        "same_impression": outside((14, 1), (15, 1), (16, 1), of=21),
        "known_reasons": outside((3, 1), of=21),
        "vector_or_reason": outside((0, 1), (1, 1), (2, 1), (3, 1), of=21),
        "cosine_or_reason": outside((6, 1), (7, 1), of=21),
        "candidate_cosine": outside((4, 1.01), (5, "nan"), of=18),
        "point_in_time": outside(*((number, 1) for number in range(8, 14)), of=21),
    }


def test_a_vector_trained_after_the_impression_needs_the_flag(spark: SparkSession, tmp_path: Path) -> None:
    rows = [*GOOD[:7], joined(7, missing_reason=names.TRAINED_AFTER), *GOOD[8:]]
    assert check(spark, rows, tmp_path, allow_trained_after=True).passed
    assert observed(check(spark, rows, tmp_path)) == {"vector_or_reason": outside((7, 1), of=10)}


def test_the_share_without_a_vector_can_be_judged(spark: SparkSession, tmp_path: Path) -> None:
    """A day on which nobody has a vector: the rules on vectors have nothing to judge, and a limit on the share blocks it."""
    rows = [joined(i, missing_reason=names.NOT_PUBLISHED, **NO_VECTOR) for i in range(10)]
    limit = replace(RANKING_RULES.missing_share, maximum=0.9)
    verdict = check(spark, rows, tmp_path, rules=replace(RANKING_RULES, missing_share=limit))
    assert observed(verdict) == {"missing_share": "1"}
    absent = {result.rule for result in verdict.with_status(gate.NOT_APPLICABLE)}
    assert absent == {"dimension", "finite", "unit_norm", "candidate_cosine"}
