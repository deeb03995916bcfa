"""summary.json: what a command left behind: rows per table, what was refused, gate verdicts, metrics, places."""

import json
from collections.abc import Mapping
from typing import Any

from pyspark.sql import Window
from pyspark.sql import functions as F

from jobs.stage import Context
from schemas import names
from schemas.contracts import CONTRACTS

GATED_JOBS = (names.ITEM_EMBEDDINGS_JOB, names.VALIDATE_JOB, names.RANKING_FEATURES_JOB)


def write_summary(context: Context, *, metrics: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``<root>/summary.json`` and return what it holds: rows, quarantined, gates, metrics, paths, and ``extra`` beside them."""
    summary = {
        "rows": rows_per_table(context),
        "quarantined": quarantined(context),
        "gates": gate_verdicts(context),
        "metrics": dict(metrics),
        "paths": places(context),
        **extra,
    }
    context.places.summary.write_text(json.dumps(summary, indent=1, sort_keys=True, default=str) + "\n", encoding="utf-8")
    return summary


def rows_per_table(context: Context) -> dict[str, int]:
    """Rows of every table; Delta answers such a count from its log alone. A table that was never written has 0."""
    return {table: context.tables.read(table).count() if context.tables.exists(table) else 0 for table in CONTRACTS}


def quarantined(context: Context) -> dict[str, dict[str, int]]:
    """Refused rows by table and reason."""
    counts = context.tables.read(names.QUARANTINE).groupBy("table", "reason").count().orderBy("table", "reason").collect()
    refused: dict[str, dict[str, int]] = {}
    for row in counts:
        refused.setdefault(row["table"], {})[row["reason"]] = row["count"]
    return refused


def gate_verdicts(context: Context) -> list[dict[str, Any]]:
    """The newest ledger row of every day and space of the jobs that hold a gate, in the order of days.

    A verdict is ``passed`` where the day is settled, ``blocked`` where the gate refused it, else the job's status.
    """
    newest = Window.partitionBy("job", "ds", "space_id").orderBy(F.desc("attempt"), F.desc("at"))
    ledger = context.tables.read(names.RUN_LEDGER).where(F.col("job").isin(*GATED_JOBS))
    rows = ledger.withColumn("_n", F.row_number().over(newest)).where(F.col("_n") == 1).orderBy("ds", "job", "space_id").collect()
    settled = (names.DONE, names.UNCHANGED)
    return [
        {
            "job": row["job"],
            "ds": row["ds"].isoformat(),
            "space_id": row["space_id"],
            "verdict": "passed" if row["status"] in settled else row["status"],
            "counts": dict(row["counts"] or {}),
            "details": dict(row["details"] or {}),
            "reason": row["reason"],
        }
        for row in rows
    ]


def places(context: Context) -> dict[str, str]:
    """Where everything lies, by name."""
    at = context.places
    return {
        "warehouse": at.warehouse, "landing": at.landing, "encoders": str(at.encoders), "training": str(at.training),
        "data_docs": str(at.data_docs), "report": str(at.report), "summary": str(at.summary),
    }  # fmt: skip
