"""summary.json says what the tables and the ledger say."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.ledger import LedgerRow
from jobs.places import Places
from jobs.stage import Context
from jobs.summary import write_summary
from schemas import names
from schemas.contracts import CONTRACTS

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def _row(job: str, status: str, attempt: int, reason: str | None = None) -> LedgerRow:
    return LedgerRow(run_id="r", job=job, ds=date(2026, 2, 1), space_id="s", attempt=attempt, status=status, at=NOW, reason=reason)


def test_rows_refusals_and_the_newest_verdicts(spark: SparkSession, tmp_path: Path) -> None:
    context = Context(spark=spark, places=Places(str(tmp_path)), run_at=NOW)
    refused = {"job": "j", "table": "events", "ds": date(2026, 2, 1), "source_file": "f", "run_id": "r", "row": "{}"}
    reasons = ("null_key", "null_key", "future")
    context.tables.append_rows([{**refused, "row_number": n, "reason": reason} for n, reason in enumerate(reasons)], names.QUARANTINE)
    of_validate = [(names.BLOCKED, 1, "norm"), (names.STARTED, 2, None), (names.FAILED, 3, "disk")]
    context.ledger.append(*[_row(names.VALIDATE_JOB, *verdict) for verdict in of_validate])
    context.ledger.append(_row(names.RANKING_FEATURES_JOB, names.UNCHANGED, 1), _row(names.PUBLISH_JOB, names.DONE, 1))

    summary = write_summary(context, metrics={"hr": 0.5}, extra={"seconds": {"a": 1.0}})

    assert summary["rows"] == {**dict.fromkeys(CONTRACTS, 0), names.QUARANTINE: 3, names.RUN_LEDGER: 5}
    assert summary["quarantined"] == {"events": {"null_key": 2, "future": 1}}
    assert [(gate["job"], gate["verdict"], gate["reason"]) for gate in summary["gates"]] == [
        (names.RANKING_FEATURES_JOB, "passed", None), (names.VALIDATE_JOB, names.FAILED, "disk"),
    ]  # fmt: skip
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert (summary["metrics"], summary["seconds"]) == ({"hr": 0.5}, {"a": 1.0})
