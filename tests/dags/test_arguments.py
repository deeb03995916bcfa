"""What a task hands to its job: the job itself reads it."""

from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from jinja2 import UndefinedError

from dags.spark_job import SparkJob
from schemas import names
from tests.dags.conftest import ask_jobs
from tests.dags.runs import context_of, rendered


def spark_jobs(dags: dict[str, DAG]) -> list[tuple[DAG, str]]:
    return [(dag, task.task_id) for dag in dags.values() for task in dag.tasks if isinstance(task, SparkJob)]


def test_every_job_takes_its_arguments(dags: dict[str, DAG]) -> None:
    calls, wrong = [], []
    for dag, task_id in spark_jobs(dags):
        arguments = rendered(dag, task_id, "application_args", partition_key="2026-11-20")
        calls.append((f"jobs.{task_id.replace('-', '_')}", arguments))
        wrong.append((calls[-1][0], [*arguments, "--no-such-flag"]))
    answers = ask_jobs("arguments", [*calls, *wrong])
    assert answers == ["accepted"] * len(calls) + ["exit code 2"] * len(wrong)


def test_no_template_is_left_in_them(dags: dict[str, DAG]) -> None:
    for dag, task_id in spark_jobs(dags):
        arguments = rendered(dag, task_id, "application_args", partition_key="2026-11-20")
        assert [word for word in arguments if "{" in word or word == "None"] == []


def test_a_run_that_knows_no_day_fails_before_its_job_starts(dags: dict[str, DAG]) -> None:
    for dag, task_id in spark_jobs(dags):
        if task_id not in (names.PROMOTE_JOB, names.EVALUATE_JOB):  # work on an encoder, not on a day
            with pytest.raises(UndefinedError, match="'ds' is undefined"):
                rendered(dag, task_id, "application_args")


@pytest.mark.parametrize("task_id", ["wait-events", names.INGEST_EVENTS_JOB])
def test_such_a_run_is_not_tried_again(task_id: str, dags: dict[str, DAG]) -> None:
    dag: Any = dags["interest_features"]
    with pytest.raises(AirflowFailException, match=r"the run knows no day .*: trigger it with one"):
        dag.get_task(task_id).prepare_for_execution().render_template_fields(context_of(dag, task_id), dag.get_template_env())


def test_a_retry_is_an_invocation_of_its_own(dags: dict[str, DAG]) -> None:
    """Its name is also a folder's, and its verdict is never taken for that of another try."""
    words = rendered(dags["interest_features"], names.PUBLISH_JOB, "application_args", partition_key="2026-11-20")
    run_id = words[words.index("--run-id") + 1]
    assert run_id == "scheduled__2026-11-21T020000.0000.publish.2"
    assert words[words.index("--verdict") + 1].endswith(f"/verdicts/interest_features/{run_id}.json")


def test_the_verdict_that_is_read_is_the_one_asked_for(dags: dict[str, DAG]) -> None:
    for dag, task_id in spark_jobs(dags):
        words = rendered(dag, task_id, "application_args", partition_key="2026-11-20")
        assert rendered(dag, task_id, "verdict", partition_key="2026-11-20") == words[words.index("--verdict") + 1]


@pytest.mark.parametrize(("run_type", "publication"), [("scheduled", "live"), ("manual", "live"), ("backfill", "simulated")])
def test_a_backfill_publishes_as_simulated(dags: dict[str, DAG], run_type: str, publication: str) -> None:
    words = rendered(dags["interest_features"], names.PUBLISH_JOB, "application_args", run_type=run_type, partition_key="2026-11-20")
    assert words[words.index("--publication") + 1] == publication


@pytest.mark.parametrize(("asked", "flag"), [(False, "--no-recompute"), (True, "--recompute")])
def test_settled_days_are_run_again_where_asked(dags: dict[str, DAG], asked: bool, flag: str) -> None:
    words = rendered(dags["interest_features"], names.VALIDATE_JOB, "application_args", partition_key="2026-11-20", recompute=asked)
    assert flag in words


def test_training_leaves_the_label_window_out(dags: dict[str, DAG]) -> None:
    for job in (names.TRAINING_EXAMPLES_JOB, names.TRAIN_ENCODER_JOB):
        words = rendered(dags["karma_training"], job, "application_args", partition_key="2026-11-30")
        assert words[words.index("--trained-until") + 1] == "2026-11-02"
    words = rendered(dags["karma_training"], names.EVALUATE_JOB, "application_args", partition_key="2026-11-30")
    assert words[words.index("--window-days") + 1] == "28"


def test_what_is_promoted_is_what_was_trained(dags: dict[str, DAG]) -> None:
    for job in (names.EVALUATE_JOB, names.PROMOTE_JOB):
        words = rendered(dags["karma_training"], job, "application_args", partition_key="2026-11-30")
        assert words[words.index("--encoder") + 1] == "karma-7"
    body = rendered(dags["karma_training"], "confirm-promotion", "body", partition_key="2026-11-30")
    assert "karma-7" in body
    assert "2026-11-02" in body
    assert '"HR@50": 0.3' in body
