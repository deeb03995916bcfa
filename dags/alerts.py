"""The alerts of a run: that it failed, at once; that it is not green in time. Put your pager's call into ``_tell``."""

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from dags.settings import SETTINGS

log = logging.getLogger("karma.alerts")

FAILED, LATE = "failed", "late"


def tell_failed(context: Context) -> None:
    """A run has failed. The DAG processor calls it."""
    run = context.get("dag_run")
    told = {name: getattr(run, name, None) for name in ("partition_key", "conf")}
    _tell({"alert": FAILED, "dag_id": context["dag"].dag_id, "dag_run_id": context["run_id"], **told, "reason": context.get("reason")})


async def tell_late(context: Mapping[str, Any]) -> None:
    """A run took too long. The triggerer calls it."""
    run = context.get("dag_run") or {}
    told = {name: run.get(name) for name in ("dag_id", "dag_run_id", "partition_key", "conf", "state", "queued_at")}
    await asyncio.to_thread(_tell, {"alert": LATE, **told})


def _tell(alert: Mapping[str, Any]) -> None:
    """In the log of the process that notices, and as a line of the alerts file."""
    log.error("%s", alert)
    path = Path(SETTINGS.alerts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(alert, default=str) + "\n")
