"""From a verdict to the fate of a task."""

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags.outcomes import in_words, read_verdict, settle
from schemas import names


def verdict(code: int, status: str = names.DONE, **facts: Any) -> dict[str, Any]:
    state = {"job": "validate", "ds": "2026-03-01", "space_id": "s", "attempt": 1, "status": status, "counts": {}, "details": {}}
    return {"job": "validate", "run_id": "r", "exit_code": code, "reason": None, "states": [state], **facts}


@pytest.mark.parametrize("submission", [None, AirflowException("spark-submit ended with 143")], ids=["submitted", "lost"])
def test_done_is_done_whatever_spark_submit_says(submission: Exception | None) -> None:
    settle(verdict(names.EXIT_DONE), submission, 143 if submission else 0)


@pytest.mark.parametrize(
    ("said", "at_once"),
    [
        (verdict(names.EXIT_GATE_BLOCKED, names.BLOCKED), True),
        (verdict(names.EXIT_INPUT_MISSING, names.MISSING_INPUT), True),
        (verdict(names.EXIT_USAGE), True),
        (verdict(names.EXIT_FAILED, names.SUPERSEDED), True),
        (verdict(names.EXIT_FAILED, names.FAILED), False),
    ],
)
def test_a_retry_is_for_what_a_retry_can_heal(said: dict[str, Any], at_once: bool) -> None:
    """spark-submit may well say that all is fine: in cluster mode its exit code is its own, not the driver's."""
    with pytest.raises(AirflowException) as failed:
        settle(said, None, 0)
    assert isinstance(failed.value, AirflowFailException) == at_once


def test_one_space_that_a_retry_heals_is_enough() -> None:
    both = verdict(names.EXIT_GATE_BLOCKED, names.BLOCKED)
    both["states"].append({**both["states"][0], "space_id": "other", "status": names.FAILED})
    with pytest.raises(AirflowException) as failed:
        settle(both, None, 0)
    assert not isinstance(failed.value, AirflowFailException)


def test_a_usage_error_inside_a_day_is_final() -> None:
    said = verdict(names.EXIT_USAGE, names.FAILED)
    said["states"][0]["details"] = {"exit_code": str(names.EXIT_USAGE)}
    with pytest.raises(AirflowFailException):
        settle(said, None, 0)


def test_without_a_verdict_nothing_is_done() -> None:
    with pytest.raises(AirflowException, match="no verdict") as failed:
        settle(None, None, 0)
    assert not isinstance(failed.value, AirflowFailException)


def test_refused_arguments_leave_no_verdict_and_are_not_tried_again() -> None:
    with pytest.raises(AirflowFailException, match="refused its arguments"):
        settle(None, AirflowException("Error code is: 2"), names.EXIT_USAGE)


def test_the_log_names_rule_figures_and_data_docs() -> None:
    said = verdict(names.EXIT_GATE_BLOCKED, names.BLOCKED, reason="rule unit_norm: observed 2.0, expected 1 +- 0.001")
    said["states"][0]["details"] = {"data_docs": "docs/index.html"}
    assert in_words(said).splitlines() == [
        "validate ended with exit code 3",
        "validate 2026-03-01 s: blocked",
        "rule unit_norm: observed 2.0, expected 1 +- 0.001",
        "docs/index.html",
    ]


def test_a_verdict_is_read_from_a_path_or_a_uri(tmp_path: Path) -> None:
    file = tmp_path / "v.json"
    assert read_verdict(str(file)) is None
    file.write_text(json.dumps(verdict(0)))
    assert read_verdict(str(file)) == read_verdict(f"file://{file}") == verdict(0)
