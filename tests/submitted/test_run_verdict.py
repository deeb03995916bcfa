"""The JSON file that a run leaves for a scheduler."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.cli import DayArgs, run_main
from jobs.errors import GateBlockedError, UsageError
from jobs.gate.verdict import Verdict, refuse_blocked
from jobs.ledger import LedgerRow
from jobs.run_verdict import verdict_of
from karma.config import PretrainedModelError
from schemas import names


def row(status: str, **facts: Any) -> LedgerRow:
    at = datetime(2026, 3, 2, tzinfo=UTC)
    return LedgerRow(run_id="r", job=names.VALIDATE_JOB, ds=date(2026, 3, 1), space_id="s", attempt=2, status=status, at=at, **facts)


def test_a_day_is_told_by_its_final_rows() -> None:
    rows = [row(names.STARTED), row(names.DONE, counts={"rows": 7}, details={"data_docs": "docs/index.html"})]
    verdict = verdict_of(job=names.VALIDATE_JOB, run_id="r", exit_code=0, reason=None, rows=rows)
    assert verdict == {
        "job": "validate",
        "run_id": "r",
        "exit_code": 0,
        "reason": None,
        "states": [
            {
                "job": "validate",
                "ds": "2026-03-01",
                "space_id": "s",
                "attempt": 2,
                "status": "done",
                "counts": {"rows": 7},
                "details": {"data_docs": "docs/index.html"},
            }
        ],
    }


def test_the_reason_is_that_of_the_rows_that_did_not_settle() -> None:
    rows = [row(names.BLOCKED, reason="rule unit_norm"), row(names.DONE), row(names.MISSING_INPUT, reason="no marker")]
    verdict = verdict_of(job=names.VALIDATE_JOB, run_id="r", exit_code=3, reason=None, rows=rows)
    assert verdict["reason"] == "rule unit_norm\nno marker"


def test_a_refusal_of_the_gate_carries_its_data_docs() -> None:
    with pytest.raises(GateBlockedError) as refused:
        refuse_blocked(Verdict(passed=False, rules=(), rows=1, docs=Path("docs/index.html")), "interest_embeddings", "ds=2026-03-01")
    assert refused.value.details == {"data_docs": "docs/index.html"}


@dataclass(frozen=True, kw_only=True)
class Args(DayArgs):
    """Arguments of a job that is none."""


def ended_by(error: Exception, file: Path) -> int:
    def body(args: Args) -> int:
        raise error

    return run_main(Args, body, ["--verdict", str(file), "--run-id", "r"], prog="karma publish")


def test_a_run_that_ends_before_its_session_leaves_one(tmp_path: Path) -> None:
    file = tmp_path / "not" / "yet" / "verdict.json"
    assert ended_by(UsageError("NO_DAY", "name the day"), file) == 2
    said = {"job": "publish", "run_id": "r", "exit_code": 2, "reason": "[NO_DAY] name the day", "states": []}
    assert json.loads(file.read_text()) == said
    assert [path.name for path in file.parent.iterdir()] == ["verdict.json"]


def test_what_nobody_foresaw_keeps_its_traceback_and_leaves_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="half a file"):
        ended_by(ValueError("half a file"), tmp_path / "v.json")
    assert json.loads((tmp_path / "v.json").read_text())["reason"] == "ValueError: half a file"


def test_a_pretrained_model_that_cannot_be_used_is_no_traceback(tmp_path: Path) -> None:
    assert ended_by(PretrainedModelError("x is no folder", expected="a folder", got="x", hint="mistyped?"), tmp_path / "v.json") == 1
    reason = json.loads((tmp_path / "v.json").read_text())["reason"]
    assert reason == "[PRETRAINED_MODEL] x is no folder (expected: a folder; got: x) Hint: mistyped?"


def test_a_run_has_an_id_before_its_body(tmp_path: Path) -> None:
    """What the body writes under it is what the verdict looks for."""
    seen: list[str | None] = []

    def body(args: Args) -> int:
        seen.append(args.run_id)
        return 0

    run_main(Args, body, ["--verdict", f"file://{tmp_path}/v.json"], prog="karma publish")
    assert json.loads((tmp_path / "v.json").read_text())["run_id"] == seen[0] is not None
