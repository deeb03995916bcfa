"""The runbook's table of days says what the DAGs do."""

import re
from datetime import UTC, datetime
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG, IdentityMapper
from airflow.serialization.encoders import coerce_to_core_timetable
from jinja2 import UndefinedError

from dags.days import DAY
from schemas import names
from scripts.local_airflow import last_day
from tests.dags.conftest import ROOT, ask_jobs
from tests.dags.runs import rendered

_ROW = re.compile(r"^\| (?P<run>[^|]+) \| (?P<begins>[^|]+) \| (?P<day>[^|]+) \| (?P<publishes>[^|]+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def table() -> dict[str, dict[str, str]]:
    text = (ROOT / "docs" / "runbook.md").read_text()
    section = text.partition("## Which run processes which day")[2].partition("\n## ")[0]
    rows = [match.groupdict() for match in _ROW.finditer(section)]
    return {row["run"]: row for row in rows[1:]}


def clock(row: dict[str, str]) -> pendulum.DateTime:
    found = re.search(r"(\d{4}-\d\d-\d\d \d\d:\d\d) UTC", row["begins"])
    assert found
    return pendulum.instance(datetime.strptime(found[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC))


def days(row: dict[str, str]) -> list[str]:
    return re.findall(r"\d{4}-\d\d-\d\d", row["day"])


def ticks(dag: DAG) -> Any:
    return coerce_to_core_timetable(dag.timetable)


@pytest.mark.parametrize(("run", "dag_id"), [("night", "interest_features"), ("training", "karma_training"), ("upkeep", "table_upkeep")])
def test_by_the_clock(run: str, dag_id: str, table: dict[str, dict[str, str]], dags: dict[str, DAG]) -> None:
    at = clock(table[run])
    timetable = ticks(dags[dag_id])
    assert timetable._align_to_next(at) == at  # a run begins then
    assert timetable._get_partition_info(run_date=at)[1] == days(table[run])[0]


def test_a_backfill_takes_the_days_of_its_window(table: dict[str, dict[str, str]], dags: dict[str, DAG]) -> None:
    found = re.search(r"--from-date (\S+) --to-date ([^\s`]+)", table["backfill"]["begins"])
    assert found
    first, last = (pendulum.parse(text) for text in found.groups())
    infos = ticks(dags["interest_features"]).iter_partition_dagrun_infos(earliest=first, latest=last)
    assert [info.partition_key for info in infos] == days(table["backfill"])


def test_by_hand(table: dict[str, dict[str, str]], dags: dict[str, DAG]) -> None:
    found = re.search(r'"day": "(\S+)"', table["by hand"]["begins"])
    assert found
    words = rendered(dags["interest_features"], names.PUBLISH_JOB, "application_args", run_type="manual", day=found[1])
    assert words[words.index("--ds") + 1] == days(table["by hand"])[0]
    assert words[words.index("--publication") + 1] == table["by hand"]["publishes"]


def test_by_hand_without_a_day(table: dict[str, dict[str, str]], dags: dict[str, DAG]) -> None:
    said = re.search(r"`([^`]+)`", table["by hand, no day named"]["day"])
    assert said
    with pytest.raises(UndefinedError, match=said[1]):
        rendered(dags["interest_features"], names.INGEST_EVENTS_JOB, "application_args", run_type="manual")


def test_the_join_takes_the_day_that_was_published(table: dict[str, dict[str, str]], dags: dict[str, DAG]) -> None:
    timetable: Any = dags["ranking_features"].timetable
    assert isinstance(timetable.default_partition_mapper, IdentityMapper)
    assert timetable.partition_mapper_config == {}
    (published,) = re.findall(r"\d{4}-\d\d-\d\d", table["join"]["begins"])
    words = rendered(dags["ranking_features"], names.RANKING_FEATURES_JOB, "application_args", partition_key=published)
    assert words[words.index("--ds") + 1] == days(table["join"])[0]


def test_training_ends_before_the_label_window(table: dict[str, dict[str, str]], dags: dict[str, DAG]) -> None:
    day, until = days(table["training"])
    words = rendered(dags["karma_training"], names.TRAIN_ENCODER_JOB, "application_args", partition_key=day)
    assert words[words.index("--trained-until") + 1] == until


@pytest.mark.parametrize(("run", "run_type"), [("night", "scheduled"), ("backfill", "backfill"), ("by hand", "manual")])
def test_what_a_run_publishes_as(run: str, run_type: str, table: dict[str, dict[str, str]], dags: dict[str, DAG]) -> None:
    words = rendered(dags["interest_features"], names.PUBLISH_JOB, "application_args", run_type=run_type, partition_key="2026-11-20")
    assert words[words.index("--publication") + 1] == table[run]["publishes"]


@pytest.mark.parametrize("run", ["plain", "plain backfill"])
def test_plain_spark_submit(run: str, table: dict[str, dict[str, str]]) -> None:
    found = re.search(r"run_day\.py ([^`]+)`", table[run]["begins"])
    assert found
    assert ask_jobs("days", found[1].split()) == {"days": days(table[run]), "publication": table[run]["publishes"]}


def test_a_named_day_wins_over_the_runs_own(dags: dict[str, DAG]) -> None:
    run = {"partition_key": "2026-11-20", "day": "2026-11-01"}
    words = rendered(dags["interest_features"], names.VALIDATE_JOB, "application_args", **run)
    assert words[words.index("--ds") + 1] == "2026-11-01"
    assert DAY in dags["interest_features"].get_task(names.VALIDATE_JOB).application_args  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("now", "expected"),
    [("2026-11-21T01:59:59", "2026-11-19"), ("2026-11-21T02:00:00", "2026-11-20"), ("2026-11-21T23:59:59", "2026-11-20")],
)
def test_the_sample_world_ends_with_the_day_of_the_last_night(now: str, expected: str) -> None:
    assert last_day(datetime.fromisoformat(now).replace(tzinfo=UTC)).isoformat() == expected
