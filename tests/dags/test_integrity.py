"""What holds for every DAG: it loads, quickly and lightly, and its tasks are bounded."""

import subprocess
import sys
from datetime import timedelta

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG

from dags.landing import LandingWait
from dags.spark_job import SparkJob
from schemas import names
from tests.dags.conftest import ROOT

DAG_IDS = ["interest_features", "karma_training", "ranking_features", "table_upkeep"]


def test_they_load_without_errors(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert sorted(bag.dags) == DAG_IDS


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_file_a_dag_that_one_can_read(dag_id: str, dags: dict[str, DAG]) -> None:
    file = ROOT / "dags" / f"{dag_id}.py"
    assert dags[dag_id].fileloc == str(file)
    assert len(file.read_text().splitlines()) < 80


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_task_has_owner_retries_and_a_pool(dag_id: str, dags: dict[str, DAG]) -> None:
    for task in dags[dag_id].tasks:
        assert (task.owner, task.retries) == ("karma", 2), task.task_id
        assert task.retry_delay == timedelta(minutes=5), task.task_id
        assert task.pool == ("spark" if isinstance(task, SparkJob) else "default_pool"), task.task_id


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_run_is_bounded(dag_id: str, dags: dict[str, DAG]) -> None:
    """By the time of a task where it computes, and by the alert where it waits."""
    dag = dags[dag_id]
    assert dag.deadline
    assert dag.on_failure_callback
    assert [task.task_id for task in dag.tasks if not isinstance(task, ApprovalOperator) and not task.execution_timeout] == []
    assert not dag.catchup
    assert dag.max_active_runs == 4


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_every_application_exists(dag_id: str, dags: dict[str, DAG]) -> None:
    jobs = [task for task in dags[dag_id].tasks if isinstance(task, SparkJob)]
    assert jobs
    for task in jobs:
        assert task.application == str(ROOT / "jobs" / f"{task.task_id.replace('-', '_')}.py")
        assert (ROOT / "jobs" / f"{task.task_id.replace('-', '_')}.py").is_file()


def test_a_published_day_is_joined_before_a_backfill_goes_on(dags: dict[str, DAG]) -> None:
    """Not by the number of tasks that follow, which is Airflow's default."""
    nights, joins = dags["interest_features"].tasks, dags["ranking_features"].tasks
    assert max(task.priority_weight for task in nights) < min(task.priority_weight for task in joins)
    assert {task.weight_rule for task in [*nights, *joins]} == {"absolute"}


def test_only_known_kinds_of_task(dags: dict[str, DAG]) -> None:
    kinds = {type(task) for dag in dags.values() for task in dag.tasks}
    assert kinds == {SparkJob, LandingWait, ApprovalOperator}


def test_a_task_is_named_as_its_job(dags: dict[str, DAG]) -> None:
    known = {value for name, value in vars(names).items() if name.endswith("_JOB")}
    assert {task.task_id for dag in dags.values() for task in dag.tasks if isinstance(task, SparkJob)} <= known


def test_they_parse_quickly_and_import_nothing_heavy() -> None:
    """In a fresh process, as the DAG processor has it: Airflow itself is there already."""
    program = """
import json, sys, time
from airflow.dag_processing.dagbag import DagBag
began = time.process_time()
bag = DagBag(dag_folder="dags")
seconds = time.process_time() - began
heavy = sorted({"pyspark", "torch", "pandas", "pyarrow", "transformers", "jobs", "karma", "udfs"} & set(sys.modules))
sys.stderr.write("\\n" + json.dumps({"dags": len(bag.dags), "seconds": seconds, "heavy": heavy}))
"""
    import json

    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    said = json.loads(answer.stderr.splitlines()[-1])
    assert (said["dags"], said["heavy"]) == (len(DAG_IDS), [])
    assert said["seconds"] < 2
