"""Great Expectations' results, read so that nothing passes by error, emptiness or absence."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import great_expectations as gx
import pytest
from pyspark.sql import SparkSession

from jobs.gate import FAILED, NOT_APPLICABLE, PASSED
from jobs.gate.expectations import judge, read_result
from jobs.gate.rules import EVERY_ROW, FIGURE, ROW_COUNT, Rule
from schemas.gate_rules import Threshold

UNIT = Threshold(minimum=0.999, maximum=1.001, reason="unit vectors")
NORMS = Rule(name="unit_norm", frame="items", threshold=UNIT, kind=EVERY_ROW, column="norm", expected_rows=2)
SOME_NORMS = Rule(name="cosine", frame="items", threshold=UNIT, kind=EVERY_ROW, column="norm", expected_rows=2, skips_nulls=True)
FIGURE_RULE = Rule(name="rank", frame="items", threshold=UNIT, kind=FIGURE, figure=1.0)

NO_ERROR = {"raised_exception": False, "exception_message": None}
RAISED = {"raised_exception": True, "exception_message": "no such column"}


def result(*, success: bool = True, info: Any = NO_ERROR, **details: Any) -> SimpleNamespace:
    return SimpleNamespace(success=success, exception_info=info, result=details)


@pytest.mark.parametrize(
    ("rule", "found", "status"),
    [
        (NORMS, result(element_count=2, missing_count=0, unexpected_count=0), PASSED),
        (NORMS, result(success=False, element_count=2, missing_count=0, unexpected_count=1), FAILED),
        (NORMS, None, FAILED),
        (NORMS, result(), FAILED),
        (NORMS, result(info=RAISED, element_count=2, missing_count=0, unexpected_count=0), FAILED),
        (NORMS, result(info={"('metric', (), ())": RAISED}, element_count=2, missing_count=0, unexpected_count=0), FAILED),
        (NORMS, result(element_count=0, missing_count=0, unexpected_count=0), FAILED),
        (NORMS, result(element_count=2, missing_count=1, unexpected_count=0), FAILED),
        (SOME_NORMS, result(element_count=2, missing_count=1, unexpected_count=0), PASSED),
        (SOME_NORMS, result(element_count=2, missing_count=2, unexpected_count=0), FAILED),
        (FIGURE_RULE, result(observed_value=1.0), PASSED),
        (FIGURE_RULE, result(observed_value=None), FAILED),
        (FIGURE_RULE, result(success=False, observed_value=0.5), FAILED),
    ],
)
def test_only_a_judged_row_or_figure_passes(rule: Rule, found: Any, status: str) -> None:
    assert read_result(rule, found)[0] == status


def test_a_rule_that_cannot_be_judged_fails_where_it_always_applies() -> None:
    facts: dict[str, Any] = {"frame": "items", "threshold": UNIT, "kind": FIGURE, "absent": "no rows"}
    assert read_result(Rule(name="finite", **facts), None) == (FAILED, "no rows")
    assert read_result(Rule(name="effective_rank", **facts), None) == (NOT_APPLICABLE, "no rows")


@pytest.mark.parametrize(
    ("minimum", "maximum", "words"),
    [(0.2, 0.99999, "0.2 to 0.99999"), (5.0, None, ">= 5"), (None, 0.9, "<= 0.9"), (1234567, 1234567, "exactly 1234567")],
)
def test_bounds_in_words_lose_no_digit(minimum: float | None, maximum: float | None, words: str) -> None:
    assert Threshold(minimum=minimum, maximum=maximum, reason="-").in_words() == words


def test_a_rule_on_every_row_needs_both_bounds() -> None:
    """Spark holds NaN greater than any number: ``norm >= 1`` would let it pass."""
    with pytest.raises(ValueError, match="both bounds"):
        Rule(name="unit_norm", frame="items", threshold=Threshold(minimum=1.0, reason="-"), kind=EVERY_ROW, column="norm")


def test_an_expectation_that_raises_fails_and_the_others_are_judged(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.createDataFrame([("a", 1.0), ("b", 1.0)], "key string, norm double")
    lost = Rule(name="lost", frame="items", threshold=UNIT, kind=EVERY_ROW, column="no_such_column", expected_rows=2)
    count = Rule(name="row_count", frame="items", threshold=UNIT.exactly(2), kind=ROW_COUNT)
    results = judge(spark, [count, NORMS, lost, FIGURE_RULE], {"items": rows}, tmp_path)
    assert [found.status for found in results] == [PASSED, PASSED, FAILED, PASSED]
    assert "the expectation raised" in results[2].observed
    assert "no_such_column" in results[2].observed


def test_an_expectation_that_vanished_fails(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gx.ExpectationSuite
    monkeypatch.setattr(gx, "ExpectationSuite", lambda name, expectations: whole(name=name, expectations=expectations[1:]))
    rows = spark.createDataFrame([("a", 1.0), ("b", 1.0)], "key string, norm double")
    count = Rule(name="row_count", frame="items", threshold=UNIT.exactly(2), kind=ROW_COUNT)
    results = judge(spark, [count, NORMS], {"items": rows}, tmp_path)
    assert [found.status for found in results] == [FAILED, PASSED]
    assert "vanished" in results[0].observed


def test_a_nan_among_figures_and_rows_fails(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.createDataFrame([("a", 1.0), ("b", float("nan"))], "key string, norm double")
    rank = Rule(name="rank", frame="items", threshold=Threshold(minimum=5.0, reason="-"), kind=FIGURE, figure=float("nan"))
    results = judge(spark, [NORMS, rank], {"items": rows}, tmp_path)
    assert [found.status for found in results] == [FAILED, FAILED]
    assert "b (nan)" in results[0].observed
