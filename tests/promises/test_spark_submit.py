"""spark-submit of the single jobs leaves the same rows as all stages in one session."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.day import DAY
from jobs.delta_jars import delta_jars
from jobs.places import Places
from jobs.session import FEW_ROWS, ONE_MACHINE
from jobs.tables import Tables
from schemas import names
from tests.promises.world import World, assert_same_snapshot, day

PROJECT = Path(__file__).resolve().parents[2]
CLOCKS = {"created_at", "run_id"}


def submit(root: Path, job: str, *flags: str) -> None:
    """One job the way a scheduler starts it: spark-submit of its file, in a JVM of its own."""
    with delta_jars() as jars:
        # A submitted session takes none of the settings for one machine by itself.
        settings = {**ONE_MACHINE, **FEW_ROWS, **jars, "spark.master": "local[2]"}
    conf = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    command = [Path(sys.executable).with_name("spark-submit"), *conf, PROJECT / "jobs" / f"{job.replace('-', '_')}.py"]
    environ = {**os.environ, "PYTHONPATH": str(PROJECT), "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    arguments = ["--root", str(root), "--ds", day(3).isoformat(), "--run-at", "2026-06-01T00:00:00+00:00", *flags]
    done = subprocess.run([*map(str, command), *arguments], env=environ, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == names.EXIT_DONE, f"{job}: {done.stderr[-3000:]}"


def rows_of(tables: Tables, table: str, key: str) -> dict[str, dict[str, Any]]:
    rows = tables.read_where(table, {"ds": day(3)}).collect()
    return {
        row[key]: {name: value for name, value in row.asDict().items() if name not in CLOCKS and "embedding" not in name} for row in rows
    }


@pytest.fixture
def twin(world: World, tmp_path: Path) -> World:
    shutil.copytree(world.root, tmp_path / "twin")
    return World(world.spark, tmp_path / "twin")


def test_the_rows_of_a_day_are_the_same(world: World, twin: World) -> None:
    world.run(3, join=True)
    for step in DAY:
        submit(twin.root, step.job, *(("--publication", "simulated") if step.job == names.PUBLISH_JOB else ()))
    assert_same_snapshot(world.snapshot(3), twin.snapshot(3))
    ours, theirs = (Tables(world.spark, Places(str(each.root))) for each in (world, twin))
    for table, key in ((names.EVENTS, "event_id"), (names.USER_HISTORIES, "user_id"), (names.RANKING_FEATURES, "request_id")):
        assert rows_of(ours, table, key) == rows_of(theirs, table, key) != {}
