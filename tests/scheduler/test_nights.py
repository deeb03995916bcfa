"""The nights of a tiny shop under a real scheduler: a tick, a killed task, a backfill, a spoilt day, an input that never lands.

The tests build on each other and run in this order: every Spark session costs seconds, and a night is ten of them.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from schemas import names
from scripts.local_airflow import AIRFLOW, PROJECT, is_alive
from tests.scheduler.driven import JOIN, NIGHT, Driven, Submission, a_day_that_never_landed, wait_for


@pytest.fixture(scope="module", autouse=True)
def twin_days(driven: Driven) -> Iterator[Submission]:
    """All days of the twin world, in order and without a scheduler, in the background: the nights leave half a core idle."""
    days = driven.submit(driven.twin, "run_day", "--ds-from", driven.days[0], "--ds-to", driven.days[2])
    yield days
    days.process.kill()


@pytest.fixture(scope="module")
def first_staged(driven: Driven) -> Iterator[Submission]:
    """The first day up to its staged vectors, in one session, while runs fail that write nothing but ledger rows."""
    staging = driven.begin_staging(driven.days[0])
    yield staging
    staging.process.kill()


def kill_while_it_writes(driven: Driven, job: str, table: str) -> list[psutil.Process]:
    """SIGKILL for the JVM of ``job`` once it has written a file of ``table``, which is not there before; the drivers that it leaves."""
    folder = driven.root / "warehouse" / table
    wait_for(f"{job} at work", lambda: any(folder.rglob("*.parquet")), every=0.02)
    found = driven.processes_of(f"jobs/{job}.py")
    for jvm in (process for process in found if process.name() == "java"):
        os.kill(jvm.pid, signal.SIGKILL)
    return [process for process in found if "python" in process.name()]


def test_a_tick_publishes_its_day_though_a_task_was_killed(driven: Driven) -> None:
    for dag_id in (NIGHT, JOIN):
        driven.local.api("PATCH", f"dags/{dag_id}", is_paused=False)
    drivers = kill_while_it_writes(driven, "user_histories", names.USER_HISTORIES)
    wait_for("the end of its driver", lambda: not any(map(is_alive, drivers)), seconds=10, every=0.2)
    run = driven.finished_day(NIGHT, driven.days[2])
    tasks = driven.tasks(NIGHT, run["dag_run_id"])
    assert {task_id: task["state"] for task_id, task in tasks.items()} == dict.fromkeys(tasks, "success")
    assert {task_id: task["try_number"] for task_id, task in tasks.items() if task["try_number"] > 1} == {names.USER_HISTORIES_JOB: 2}
    assert driven.ask("published", driven.root).keys() == {driven.days[2]}
    assert driven.ask("published", driven.root)[driven.days[2]]["publication"] == names.LIVE


def test_its_partition_starts_the_join(driven: Driven) -> None:
    assert driven.finished_day(JOIN, driven.days[2])["state"] == "success"
    shards = driven.root / "training" / "shards" / f"ds={driven.days[2]}"
    (manifest,) = shards.glob("space_id=*/manifest.json")
    assert json.loads(manifest.read_text())["rows"] > 0


@pytest.mark.usefixtures("first_staged")
def test_a_run_that_knows_no_day_fails_loudly(driven: Driven) -> None:
    run_id = driven.trigger(NIGHT)
    assert driven.finished(NIGHT, run_id)["state"] == "failed"
    states = driven.states(NIGHT, run_id)
    assert {states[task] for task in ("wait-events", "wait-items")} == {"failed"}
    assert {state for task, state in states.items() if not task.startswith("wait-")} == {"upstream_failed"}
    assert {task["try_number"] for task in driven.tasks(NIGHT, run_id).values() if task["task_id"].startswith("wait-")} == {1}
    assert "'ds' is undefined" in driven.log_of(NIGHT, run_id, "wait-events")


def test_an_input_that_never_lands_is_in_the_ledger(driven: Driven) -> None:
    day = a_day_that_never_landed()
    run_id = driven.trigger(NIGHT, day=day)
    assert driven.finished(NIGHT, run_id)["state"] == "failed"
    tasks = driven.tasks(NIGHT, run_id)
    assert (tasks["wait-events"]["state"], tasks[names.INGEST_EVENTS_JOB]["state"]) == ("success", "failed")
    assert tasks[names.INGEST_EVENTS_JOB]["try_number"] == 1  # at once: no retry lands a file
    assert "has not landed in time" in driven.log_of(NIGHT, run_id, "wait-events", 1)
    told = {(row["job"], row["status"]) for row in driven.ask("ledger", driven.root) if row["ds"] == day}
    assert (names.INGEST_EVENTS_JOB, names.MISSING_INPUT) in told


def test_a_task_that_airflow_ends_leaves_no_process(driven: Driven, first_staged: Submission) -> None:
    first_staged.done()
    run_id = driven.trigger(NIGHT, day=driven.days[2])
    found = wait_for("its first job", lambda: driven.processes_of(f"jobs/{names.INGEST_EVENTS_JOB.replace('-', '_')}.py"), every=0.3)
    driven.local.api("PATCH", f"dags/{NIGHT}/dagRuns/{run_id}", state="failed")
    wait_for("the end of all of it", lambda: not any(map(is_alive, found)), seconds=60, every=0.5)
    assert driven.finished(NIGHT, run_id)["state"] == "failed"


def test_a_backfill_fills_the_holes_and_leaves_the_rest(driven: Driven) -> None:
    """Three days: the first is spoilt and blocks, the second is a hole, the third was published by the night."""
    first, hole, done = driven.days
    driven.ask("spoil", driven.root, first)
    before = driven.run_of(NIGHT, done, "scheduled")
    window = ["--from-date", first, "--to-date", f"{done}T23:59:59", "--max-active-runs", "1"]
    command = [AIRFLOW, "backfill", "create", "--dag-id", NIGHT, *window]
    subprocess.run(command, env=driven.local.environ(), check=True, capture_output=True)
    assert driven.finished_day(NIGHT, first, "backfill")["state"] == "failed"
    assert driven.finished_day(NIGHT, hole, "backfill")["state"] == "success"
    assert driven.run_of(NIGHT, done, "backfill") is None
    assert driven.run_of(NIGHT, done, "scheduled") == before
    days = driven.ask("published", driven.root)
    assert {day: days[day]["publication"] for day in days} == {hole: names.SIMULATED, done: names.LIVE}
    assert driven.finished_day(JOIN, hole)["state"] == "success"


@pytest.fixture
def blocked(driven: Driven) -> dict[str, Any]:
    run = driven.run_of(NIGHT, driven.days[0], "backfill")
    assert run is not None
    return run


def test_a_spoilt_day_blocks_and_says_why(driven: Driven, blocked: dict[str, Any]) -> None:
    tasks = driven.tasks(NIGHT, blocked["dag_run_id"])
    assert (tasks[names.VALIDATE_JOB]["state"], tasks[names.VALIDATE_JOB]["try_number"]) == ("failed", 1)
    assert tasks[names.PUBLISH_JOB]["state"] == "upstream_failed"
    log = driven.log_of(NIGHT, blocked["dag_run_id"], names.VALIDATE_JOB)
    assert "rule unit_norm" in log
    assert "data_docs" in log
    assert driven.run_of(JOIN, driven.days[0]) is None
    statuses = [row["status"] for row in driven.ask("ledger", driven.root) if (row["job"], row["ds"]) == ("validate", driven.days[0])]
    assert statuses == [names.BLOCKED]


def test_after_the_fix_a_clear_makes_it_green(driven: Driven, blocked: dict[str, Any]) -> None:
    """What the gate refused is staged anew: clearing that, with all after it, is the fix of spoilt staged rows."""
    driven.clear(NIGHT, blocked["dag_run_id"], names.INTEREST_EMBEDDINGS_JOB)
    wait_for("its new start", lambda: driven.states(NIGHT, blocked["dag_run_id"])[names.VALIDATE_JOB] != "failed")
    assert driven.finished(NIGHT, blocked["dag_run_id"])["state"] == "success"
    assert driven.finished_day(JOIN, driven.days[0])["state"] == "success"
    assert driven.ask("published", driven.root).keys() == set(driven.days)


def test_a_day_that_the_filled_holes_made_stale_is_done_again(driven: Driven) -> None:
    """The third day was published before the events of the first two had been read. By plain spark-submit, beside the scheduler."""
    driven.submit(driven.root, "run_day", "--ds", driven.days[2]).done()
    night = [row["status"] for row in driven.ask("ledger", driven.root) if (row["job"], row["ds"]) == ("publish", driven.days[2])]
    assert night == [names.DONE, names.DONE]


@pytest.fixture
def paused_join(driven: Driven) -> Iterator[None]:
    """The join's DAG, left alone by the scheduler: it would take the tasks of a ``dag.test()`` too where it sees them first."""
    driven.local.api("PATCH", f"dags/{JOIN}", is_paused=True)
    yield
    driven.local.api("PATCH", f"dags/{JOIN}", is_paused=False)


@pytest.mark.usefixtures("paused_join")
def test_a_day_of_a_dag_runs_without_a_scheduler(driven: Driven) -> None:
    """``dag.test()``, as someone who writes a DAG calls it: the hole's join, made before the day before it was published, is stale."""
    hole = driven.days[1]
    before = len(driven.ask("ledger", driven.root))
    command = [sys.executable, "-m", "tests.scheduler.one_dag", JOIN, hole]
    done = subprocess.run(command, env=driven.local.environ(), cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = {row["job"]: row["status"] for row in driven.ask("ledger", driven.root)[before:] if row["ds"] == hole}
    assert told == {
        names.INGEST_IMPRESSIONS_JOB: names.UNCHANGED, names.RANKING_FEATURES_JOB: names.DONE, names.TRAINING_SHARDS_JOB: names.DONE,
    }  # fmt: skip


def test_the_rows_are_those_of_plain_spark_submit(driven: Driven, twin_days: Submission) -> None:
    """The same days, in order and without a scheduler."""
    twin_days.done()
    assert driven.ask("differences", driven.root, driven.twin) == []


def test_a_run_that_failed_and_was_late_raised_both_alerts(driven: Driven) -> None:
    """The run of the day that never landed: it failed at once, and never became green."""
    (late,) = [run["dag_run_id"] for run in driven.runs(NIGHT) if run["conf"] == {"day": a_day_that_never_landed()}]
    alerts = driven.local.home / "alerts.log"

    def told() -> bool:
        lines = [json.loads(line) for line in alerts.read_text().splitlines()] if alerts.exists() else []
        return {line["alert"] for line in lines if line["dag_run_id"] == late} == {"failed", "late"}

    wait_for("the alerts", told, seconds=120)
