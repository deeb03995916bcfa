"""From a job's verdict to the fate of its task: what is over, what is tried again. The files: ``jobs/run_verdict.py``."""

import json
from collections.abc import Mapping
from typing import Any

from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from schemas import names

Verdict = Mapping[str, Any]

# No retry heals these: a person has to mend the data, the command or the order of things.
FINAL_STATUSES = (names.BLOCKED, names.MISSING_INPUT, names.SUPERSEDED)
FINAL_CODES = (names.EXIT_USAGE, names.EXIT_GATE_BLOCKED, names.EXIT_INPUT_MISSING)


def read_verdict(uri: str) -> Verdict | None:
    """The verdict at ``uri``, or None where the job left none: it was killed, or never started."""
    path = _path(uri)
    verdict: Verdict | None = json.loads(path.read_text()) if path.exists() else None
    return verdict


def forget_verdict(uri: str) -> None:
    """Remove what an earlier run of the same id left: a run may be deleted, and begun again under its name."""
    path = _path(uri)
    if path.exists():
        path.unlink()


def settle(verdict: Verdict | None, submission: Exception | None, returncode: int | None) -> None:
    """Return where the job did its work. The verdict decides; spark-submit's own answer only where there is none.

    Raises:
        AirflowFailException: the task fails at once: gate blocked, input missing, wrong usage, or a newer run has the day.
        AirflowException: it failed, and may be tried again.
    """
    if verdict is None and returncode == names.EXIT_USAGE:
        raise AirflowFailException(f"the job refused its arguments: {submission}")
    if verdict is None:
        raise AirflowException(f"the job left no verdict: it was killed, or never started ({submission or 'spark-submit says it is done'})")
    if verdict["exit_code"] == names.EXIT_DONE:
        return
    raise (AirflowFailException if _is_final(verdict) else AirflowException)(in_words(verdict))


def _is_final(verdict: Verdict) -> bool:
    """Whether no retry heals any of it: one space may be blocked while another failed on a full disk."""
    unsettled = [state for state in verdict["states"] if state["status"] not in names.SETTLED]
    if not unsettled:  # it ended before, or beside, the work on a day
        return verdict["exit_code"] in FINAL_CODES
    return all(state["status"] in FINAL_STATUSES or "exit_code" in state["details"] for state in unsettled)


def _path(uri: str) -> ObjectStoragePath:
    return ObjectStoragePath(uri if "://" in uri else f"file://{uri}")


def in_words(verdict: Verdict) -> str:
    """A line a (day, space) with its status, the reason, and where the Data Docs are."""
    days = [f"{state['job']} {state['ds']} {state['space_id']}: {state['status']}" for state in verdict["states"]]
    docs = {state["details"]["data_docs"] for state in verdict["states"] if "data_docs" in state["details"]}
    told = [f"{verdict['job']} ended with exit code {verdict['exit_code']}", *days, verdict["reason"] or "", *sorted(docs)]
    return "\n".join(line for line in told if line)
