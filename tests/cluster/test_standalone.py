"""The daily job on a standalone cluster leaves the rows that it leaves on one machine."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.delta_jars import delta_jars
from jobs.session import FEW_ROWS, ONE_MACHINE
from tests.cluster.standalone import ENTER, PROJECT, Standalone, can_hide, environment, project_folders
from tests.published_rows import differences

PLACE = PROJECT / "var" / "cluster-test"
WORLD = ("--users", "60", "--items", "300", "--history-days", "20", "--days", "2", "--image-px", "32")
CONFIG = ("--config", "tests/end_to_end/tiny.toml")
PARALLELISM = 6
"""Tasks of the stage that encodes: more than the cluster has cores, so that a worker process serves several."""


def karma(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "jobs", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def submit(days: list[str], conf: dict[str, str], *arguments: str) -> None:
    """``jobs/run_day.py`` for ``days``, by spark-submit, far from the project's folder."""
    with delta_jars() as jars:
        settings = {**FEW_ROWS, **jars, **conf}
    words = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    command = [Path(sys.executable).with_name("spark-submit"), *words, *arguments, "--ds-from", days[0], "--ds-to", days[-1]]
    environ = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=PLACE, env=environ, capture_output=True, text=True, check=False)
    (PLACE / "submitted.log").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Standalone]:
    shutil.rmtree(PLACE, ignore_errors=True)
    driver = PLACE / "driver"
    driver.mkdir(parents=True)
    nodes = Standalone(PLACE / "nodes", hidden=[*project_folders(), driver])
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.stop()


@pytest.fixture(scope="module")
def days(cluster: Standalone) -> list[str]:
    """The same landed days, done once here and once there. ``driver/`` is the root of the cluster's driver; its tables and landing
    zone lie beside it, where the nodes see them."""
    here, driver, shared = PLACE / "here", PLACE / "driver", PLACE / "shared"
    karma("demo", "--only-encoder", "--root", str(here), *WORLD, *CONFIG)
    days = sorted(json.loads((here / "world" / "world.json").read_text())["days"])
    shutil.copytree(here / "encoders", driver / "encoders")
    for part in ("warehouse", "landing"):
        shutil.copytree(here / part, shared / part)
    local = {**ONE_MACHINE, "spark.master": "local[2]"}
    submit(days, local, "--py-files", str(PLACE / "karma.zip"), *job(), "--root", str(here))
    return days


def job() -> tuple[str, ...]:
    if not (PLACE / "karma.zip").exists():
        karma("project-zip", "--out", str(PLACE / "karma.zip"))
    return (str(PROJECT / "jobs" / "run_day.py"),)


def test_the_rows_are_those_of_one_machine(cluster: Standalone, days: list[str]) -> None:
    conf = {
        "spark.master": cluster.url, "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false",
        "spark.jars.packages": "",  # the jars are named
        "spark.executor.cores": "1", "spark.executor.memory": "1g", "spark.executor.memoryOverhead": "256m",
        "spark.default.parallelism": str(PARALLELISM),
    }  # fmt: skip
    shared = PLACE / "shared"
    places = ("--root", str(PLACE / "driver"), "--warehouse", f"file://{shared}/warehouse", "--landing", f"file://{shared}/landing")
    files = ("--properties-file", str(PROJECT / "conf/spark/standalone.conf"), "--py-files", str(PLACE / "karma.zip"))
    submit(days, conf, *files, *job(), *places)
    assert differences(PLACE / "here" / "warehouse", shared / "warehouse") == []
    assert not (PLACE / "driver" / "warehouse").exists()


def test_a_worker_process_loads_the_model_once(cluster: Standalone, days: list[str]) -> None:
    said = "".join(path.read_text(errors="replace") for path in cluster.work.glob("worker-*/app-*/*/stderr"))
    loads = Counter(re.findall(r"(\S+) is loaded in process (\d+)", said))
    encoder = next((PLACE / "driver" / "encoders").iterdir()).name
    processes = {process for name, process in loads if name.startswith(encoder)}
    assert len(processes) >= 2  # one a node at least
    assert {count for (name, _), count in loads.items() if name.startswith(encoder)} == {1}
    assert len(processes) < PARALLELISM


@pytest.mark.skipif(not can_hide(), reason="this machine lets no process have mounts of its own")
def test_the_nodes_saw_neither_the_project_nor_the_driver_s_folder(cluster: Standalone, days: list[str]) -> None:
    """Asked of the namespace of a worker that has done the work."""
    worker = cluster.parts[-1].pid
    for folder in cluster.hidden:
        seen = subprocess.run([*ENTER, "-t", str(worker), "ls", str(folder)], capture_output=True, text=True, check=False)
        assert (seen.returncode, seen.stdout) == (0, "")
        assert any(folder.iterdir())
