"""The edges of the DAGs are those of ``jobs/day.py``."""

from typing import Any

import pytest
from airflow.sdk import DAG, PartitionedAssetTimetable

from dags.days import INTEREST_EMBEDDINGS
from schemas import names
from tests.dags.conftest import ask_jobs


@pytest.fixture(scope="module")
def day() -> dict[str, list[str]]:
    """job -> the jobs of the same day that it needs settled."""
    found: dict[str, list[str]] = ask_jobs("day")
    return found


def edges(dag: DAG) -> dict[str, list[str]]:
    """task -> tasks before it, the waits aside: those are of the scheduler, not of the day."""
    jobs = [task for task in dag.tasks if not task.task_id.startswith("wait-")]
    return {task.task_id: sorted(up for up in task.upstream_task_ids if not up.startswith("wait-")) for task in jobs}


def test_the_night_has_exactly_the_edges_of_a_day(dags: dict[str, DAG], day: dict[str, list[str]]) -> None:
    join = {names.INGEST_IMPRESSIONS_JOB, names.RANKING_FEATURES_JOB}
    assert edges(dags["interest_features"]) == {job: after for job, after in day.items() if job not in join}


def test_the_join_has_the_other_jobs_and_what_it_needs_of_the_night_is_before_the_asset(
    dags: dict[str, DAG], day: dict[str, list[str]]
) -> None:
    own = edges(dags["ranking_features"])
    assert set(own) - set(day) == {names.TRAINING_SHARDS_JOB}
    publish = dags["interest_features"].get_task(names.PUBLISH_JOB)
    before = publish.get_flat_relative_ids(upstream=True)
    for job in own.keys() & day.keys():
        here, at_night = set(day[job]) & own.keys(), set(day[job]) - own.keys()
        assert own[job] == sorted(here), job
        assert at_night <= before, job
    assert own[names.TRAINING_SHARDS_JOB] == [names.RANKING_FEATURES_JOB]


def test_every_job_of_a_day_is_in_one_dag(dags: dict[str, DAG], day: dict[str, list[str]]) -> None:
    placed = [task.task_id for dag in dags.values() for task in dag.tasks if task.task_id in day]
    assert sorted(placed) == sorted(day)


@pytest.mark.parametrize(
    ("dag_id", "job", "table"),
    [
        ("interest_features", names.INGEST_EVENTS_JOB, names.EVENTS),
        ("interest_features", names.INGEST_ITEMS_JOB, names.ITEMS),
        ("ranking_features", names.INGEST_IMPRESSIONS_JOB, names.IMPRESSIONS),
    ],
)
def test_an_ingest_waits_for_its_own_table(dags: dict[str, DAG], dag_id: str, job: str, table: str) -> None:
    assert dags[dag_id].get_task(job).upstream_task_ids == {f"wait-{table}"}
    wait: Any = dags[dag_id].get_task(f"wait-{table}")
    assert wait.table == table


def test_a_published_partition_starts_the_join(dags: dict[str, DAG]) -> None:
    outlets = {(dag_id, task.task_id): task.outlets for dag_id, dag in dags.items() for task in dag.tasks if task.outlets}
    assert outlets == {("interest_features", names.PUBLISH_JOB): [INTEREST_EMBEDDINGS]}
    timetable: Any = dags["ranking_features"].timetable
    assert isinstance(timetable, PartitionedAssetTimetable)
    assert timetable.asset_condition == INTEREST_EMBEDDINGS


def test_training_ends_with_what_a_person_confirmed(dags: dict[str, DAG]) -> None:
    assert edges(dags["karma_training"]) == {
        names.TRAINING_EXAMPLES_JOB: [],
        names.TRAIN_ENCODER_JOB: [names.TRAINING_EXAMPLES_JOB],
        names.EVALUATE_JOB: [names.TRAIN_ENCODER_JOB],
        "confirm-promotion": [names.EVALUATE_JOB],
        names.PROMOTE_JOB: ["confirm-promotion"],
    }
