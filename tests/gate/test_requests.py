"""check_requests: every request once, a reason for every null, nothing read from after it."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from jobs import gate
from schemas import names
from schemas.contracts import CONTRACTS
from tests.gate.days import DIMENSION, DS, SPACE, Row, frame, unit

NOON = dt.datetime(2026, 3, 4, 12, tzinfo=dt.UTC)
TRAINED = NOON - dt.timedelta(days=2)
LATER = NOON + dt.timedelta(seconds=1)
VECTOR = unit(np.random.default_rng(8).normal(size=DIMENSION)).tolist()
NOTHING: Row = {"fingerprint": None, "embedding": None}


def request(number: int, query: str | None = "lamp") -> Row:
    return {"request_id": f"r{number:02d}", "user_id": f"u{number}", "request_time": NOON, "query": query}


def encoded(number: int, **values: Any) -> Row:
    """The vector of a request at noon, after a history of two events of which the newer is of that very day."""
    read = {"fingerprint": "f", "history_len": 2, "last_event_time": NOON - dt.timedelta(hours=1), "embedding": VECTOR}
    origin = {"space_id": SPACE, "ds": DS, "run_id": "run-1", "trained_until": TRAINED, "missing_reason": None}
    return {**request(number), **origin, **read, **values}


def check(spark: SparkSession, rows: list[Row], docs_dir: Path, requests: list[Row], **options: Any) -> gate.Verdict:
    return gate.check_requests(
        spark,
        staged=frame(spark, rows, CONTRACTS[names.REQUEST_EMBEDDINGS_STAGED].ddl),
        requests=frame(spark, requests, "request_id string, user_id string, request_time timestamp, query string"),
        space_id=SPACE,
        dimension=DIMENSION,
        docs_dir=docs_dir,
        ds=DS,
        **options,
    )


def outside(*offenders: tuple[int, object], of: int) -> str:
    return f"{len(offenders)} of {of} rows outside: " + ", ".join(f"r{number:02d} ({value})" for number, value in offenders)


MARKED = encoded(3, missing_reason=names.TRAINED_AFTER, trained_until=LATER)
GOOD = [
    encoded(0),
    encoded(1, history_len=0, last_event_time=None),
    encoded(2, query=None, missing_reason=names.NO_QUERY, **NOTHING),
    MARKED,
    encoded(4, missing_reason=names.TRAINED_AFTER, trained_until=LATER, **NOTHING),
]


def test_a_good_day_passes_marked_vectors_where_they_are_allowed(spark: SparkSession, tmp_path: Path) -> None:
    asked = [request(0), request(1), request(2, None), request(3), request(4)]
    verdict = check(spark, GOOD, tmp_path, asked, allow_trained_after=True)
    assert verdict.passed, verdict.failures_in_words()
    assert {r.rule: r.observed for r in verdict.rules}["missing_share"] == "0.4"
    assert verdict.with_status(gate.NOT_APPLICABLE) == ()


def test_every_bad_row_is_found_by_its_rule_and_named(spark: SparkSession, tmp_path: Path) -> None:
    """Each row breaks one thing."""
    rows = [
        encoded(0, **NOTHING),
        encoded(1, missing_reason=names.NO_QUERY),
        encoded(2, embedding=None, missing_reason=names.TRAINED_AFTER),
        MARKED,
        encoded(4, missing_reason="tired", **NOTHING),
        encoded(5, last_event_time=NOON),
        encoded(6, last_event_time=None),
        encoded(7, trained_until=LATER),
        encoded(8, query="mug"),
        encoded(9, user_id="another"),
        encoded(10, request_time=LATER),
        encoded(11, embedding=[2 * value for value in VECTOR]),
        encoded(12, embedding=[float("nan"), *VECTOR[1:]]),
        encoded(13, embedding=VECTOR[1:]),
        encoded(14, history_len=None),
        encoded(15),
        encoded(15),
        encoded(99),
    ]
    verdict = check(spark, rows, tmp_path, [request(number) for number in range(17)])
    observed = {result.rule: result.observed for result in verdict.with_status(gate.FAILED)}
    assert observed.pop("unit_norm").startswith("3 of 15 rows outside: r11 (2), r12 (nan)")
    assert observed == {
        "missing_rows": "1: r16",
        "row_count": "18",
        "extra_rows": "1: r99",
        "no_nulls": outside((14, 1), of=18),
        "keys_unique": outside((15, 2), (15, 2), of=18),
        "dimension": outside((13, DIMENSION - 1), of=15),
        "finite": outside((12, 1), of=15),
        "same_request": outside((8, 1), (9, 1), (10, 1), of=18),
        "known_reasons": outside((4, 1), of=18),
        "vector_or_reason": outside((0, 1), (1, 1), (2, 1), (3, 1), of=18),
        "point_in_time": outside((5, 1), (6, 1), (7, 1), (14, 1), of=18),
    }
