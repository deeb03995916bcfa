"""Drives a local Airflow through its API, as a person does through its page."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psutil

from scripts.local_airflow import JOBS, PROJECT, LocalAirflow, day_landed_last, members

T = TypeVar("T")
NIGHT, JOIN = "interest_features", "ranking_features"
OVER = ("success", "failed")
PATIENCE_SECONDS = 900


def wait_for(what: str, question: Callable[[], T | None], seconds: float = PATIENCE_SECONDS, every: float = 1.0) -> T:
    """The first answer to ``question`` that is not empty. Raises AssertionError after ``seconds``."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if answer := question():
            return answer
        time.sleep(every)
    raise AssertionError(f"{what}: not within {seconds} s")


@dataclass(frozen=True)
class Driven:
    """A running local Airflow on a tiny world of three landed days, the last of them that of the last night."""

    local: LocalAirflow
    twin: Path
    """A copy of the world from before the first run."""

    @property
    def days(self) -> list[str]:
        return [(day_landed_last() - timedelta(days=back)).isoformat() for back in (2, 1, 0)]

    @property
    def root(self) -> Path:
        return self.local.world

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.local.api("GET", f"dags/{dag_id}/dagRuns?limit=100")["dag_runs"]
        return found

    def run_of(self, dag_id: str, day: str, run_type: str | None = None) -> dict[str, Any] | None:
        """The run whose partition is ``day``."""
        runs = [run for run in self.runs(dag_id) if run["partition_key"] == day and run_type in (None, run["run_type"])]
        return runs[-1] if runs else None

    def finished(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """The run, once it is over."""
        path = f"dags/{dag_id}/dagRuns/{run_id}"
        return wait_for(f"{dag_id} {run_id}", lambda: run if (run := self.local.api("GET", path))["state"] in OVER else None)

    def finished_day(self, dag_id: str, day: str, run_type: str | None = None) -> dict[str, Any]:
        run = wait_for(f"a run of {dag_id} for {day}", lambda: self.run_of(dag_id, day, run_type))
        return self.finished(dag_id, run["dag_run_id"])

    def tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        found = self.local.api("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100")["task_instances"]
        return {task["task_id"]: task for task in found}

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        return {task_id: task["state"] for task_id, task in self.tasks(dag_id, run_id).items()}

    def log_of(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        return json.dumps(self.local.api("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"))

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run by hand; its id."""
        return str(self.local.api("POST", f"dags/{dag_id}/dagRuns", logical_date=None, conf=conf)["dag_run_id"])

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """What a person does after the cause is mended: this task and all after it again."""
        self.local.api(
            "POST", f"dags/{dag_id}/clearTaskInstances", dry_run=False, dag_run_id=run_id, task_ids=[task_id], include_downstream=True,
            only_failed=False, reset_dag_runs=True,
        )  # fmt: skip

    def ask(self, command: str, *arguments: object) -> Any:
        """What ``world_side.py`` answers."""
        words = [JOBS / "python", "-m", "tests.scheduler.world_side", command, *map(str, arguments)]
        answer = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def submit(self, root: Path, job: str, *arguments: str) -> "Submission":
        """Begin a plain spark-submit of a job, without a scheduler."""
        words = [JOBS / "spark-submit", "--master", "local[2]", "--properties-file", self.local.spark_conf, PROJECT / "jobs" / f"{job}.py"]
        return self._begin([*words, "--root", root, *arguments], f"{root.name}-{job}", {**self.local.environ(), "PYTHONPATH": str(PROJECT)})

    def begin_staging(self, day: str) -> "Submission":
        """Begin what ``world_side.py`` calls stage."""
        return self._begin([JOBS / "python", "-m", "tests.scheduler.world_side", "stage", self.root, day], f"stage-{day}", os.environ)

    def _begin(self, words: Sequence[object], name: str, environ: Mapping[str, str]) -> "Submission":
        log = self.local.home / f"{name}.log"
        with log.open("w") as said:
            return Submission(subprocess.Popen([*map(str, words)], env=environ, cwd=PROJECT, stdout=said, stderr=subprocess.STDOUT), log)

    def processes_of(self, *words: str) -> list[psutil.Process]:
        """Those that Airflow started whose command line holds all ``words``."""
        found = []
        for process in members(self.local):
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if all(word in line for word in words):
                found.append(process)
        return found


@dataclass(frozen=True)
class Submission:
    """A Spark session at work, and what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    def done(self) -> None:
        """Wait for it. Raises AssertionError where it did not do its work."""
        assert self.process.wait(PATIENCE_SECONDS) == 0, self.log.read_text()[-3000:]


def a_day_that_never_landed() -> str:
    return date(2026, 1, 1).isoformat()


def port() -> int:
    return int(os.environ.get("AIRFLOW_TEST_PORT", "8089"))
