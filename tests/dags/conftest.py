"""The DAGs as Airflow loads them, and what the jobs' own Python says of the jobs."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

ROOT = Path(__file__).resolve().parents[2]
JOBS_PYTHON = Path(os.environ.get("VENV", ".venv")) / "bin" / "python"


@pytest.fixture(scope="session")
def bag() -> DagBag:
    return DagBag(dag_folder=str(ROOT / "dags"))


@pytest.fixture(scope="session")
def dags(bag: DagBag) -> dict[str, DAG]:
    return dict(bag.dags)


def ask_jobs(question: str, calls: Any = None) -> Any:
    """What ``jobs_side.py`` answers: the jobs' packages and Airflow's never share a process."""
    asked = [ROOT / JOBS_PYTHON, "-m", "tests.dags.jobs_side", question]
    answer = subprocess.run(asked, cwd=ROOT, input=json.dumps(calls), capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)
