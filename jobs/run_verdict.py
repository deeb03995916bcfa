"""The verdict of a run: one small JSON file that a scheduler reads. Exit codes do not survive every way to submit a job.

It is made of the ledger rows that the run wrote, so it says nothing that the ledger does not.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyspark.sql import SparkSession

from jobs import hadoop_files
from jobs.errors import JobError
from jobs.ledger import Ledger, LedgerRow
from jobs.places import Places
from jobs.tables import Tables
from schemas import names


def leave_verdict(uri: str, *, job: str, run_id: str, exit_code: int, reason: str | None, places: Places) -> None:
    """Write the verdict of run ``run_id`` to ``uri``, in place of an earlier one.

    A run that ended before it had a session has no ledger rows, and can write to a local path only.
    """
    spark = SparkSession.getActiveSession()
    rows = _rows_of(spark, places, run_id) if spark else []
    verdict = verdict_of(job=job, run_id=run_id, exit_code=exit_code, reason=reason, rows=rows)
    _write(spark, uri, json.dumps(verdict, indent=1) + "\n")


def _rows_of(spark: SparkSession, places: Places, run_id: str) -> list[LedgerRow]:
    try:
        return Ledger(Tables(spark, places)).of_run(run_id)
    except JobError:  # where the ledger cannot be read the run has said so: that is its reason
        return []


def verdict_of(*, job: str, run_id: str, exit_code: int, reason: str | None, rows: Sequence[LedgerRow]) -> dict[str, Any]:
    """The verdict as JSON values; without a ``reason`` it is that of the rows that did not settle."""
    final = [row for row in rows if row.status != names.STARTED]
    told = reason or "\n".join(row.reason for row in final if not row.settled and row.reason) or None
    return {"job": job, "run_id": run_id, "exit_code": exit_code, "reason": told, "states": [_state(row) for row in final]}


def _state(row: LedgerRow) -> dict[str, Any]:
    return {
        "job": row.job, "ds": row.ds.isoformat(), "space_id": row.space_id, "attempt": row.attempt, "status": row.status,
        "counts": dict(row.counts), "details": dict(row.details),
    }  # fmt: skip


def _write(spark: SparkSession | None, uri: str, text: str) -> None:
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        if spark:
            hadoop_files.write_text(spark, uri, text)
        return
    path = Path(parts.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
