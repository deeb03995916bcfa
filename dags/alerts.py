"""The alert of a run that did not finish in time; the triggerer calls it."""

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dags.settings import SETTINGS

log = logging.getLogger("karma.alerts")


async def tell_late(context: Mapping[str, Any]) -> None:
    """Say which run is late, in the triggerer's log and as a line of the alerts file. Put your pager's call here."""
    run = context.get("dag_run") or {}
    alert = {name: run.get(name) for name in ("dag_id", "dag_run_id", "partition_key", "conf", "state", "queued_at")}
    log.error("late: %s", alert)
    await asyncio.to_thread(_append, Path(SETTINGS.alerts), json.dumps(alert, default=str))


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
