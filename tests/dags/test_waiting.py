"""The wait for an input, and the alerts."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from dags import alerts, landing
from dags.landing import LandingWait, MarkerTrigger, last_moment
from dags.settings import SETTINGS, Settings


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def first_event(trigger: MarkerTrigger) -> Any:
    return (await anext(trigger.run())).payload


def test_the_wait_ends_when_the_marker_lands(tmp_path: Path) -> None:
    marker = tmp_path / "_SUCCESS"

    async def landing_later() -> Any:
        waiting = asyncio.create_task(first_event(MarkerTrigger(str(marker), soon(60), 0.05)))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        marker.touch()
        return await asyncio.wait_for(waiting, 10)

    assert asyncio.run(landing_later()) is True


def test_the_wait_ends_at_its_deadline(tmp_path: Path) -> None:
    assert asyncio.run(first_event(MarkerTrigger(str(tmp_path / "_SUCCESS"), soon(0.2), 0.05))) is False


def test_an_old_days_wait_is_over_at_once(tmp_path: Path) -> None:
    assert asyncio.run(first_event(MarkerTrigger(str(tmp_path / "_SUCCESS"), "2026-01-01T00:00:00+00:00", 3600))) is False


def test_a_trigger_is_made_again_from_what_it_says_of_itself(tmp_path: Path) -> None:
    path, arguments = MarkerTrigger("m", "2026-01-01T00:00:00+00:00", 3.0).serialize()
    assert path == f"{MarkerTrigger.__module__}.{MarkerTrigger.__qualname__}"
    assert vars(MarkerTrigger(**arguments)).items() >= arguments.items()


def test_the_last_moment_counts_from_the_end_of_the_day() -> None:
    assert last_moment("2026-11-20") == datetime(2026, 11, 21, tzinfo=UTC) + SETTINGS.landing_wait


def test_a_day_that_has_not_begun_is_not_waited_for() -> None:
    """It would keep one of the DAG's runs until it has come."""
    today = datetime.now(UTC).date()
    assert last_moment(today.isoformat()) > datetime.now(UTC)
    with pytest.raises(AirflowFailException, match="has not begun"):
        last_moment((today + timedelta(days=1)).isoformat())


@pytest.mark.parametrize("day", ["None", "", "2026-11-2", "20261120", "2026-02-30", "9999-12-31"])
def test_no_day_is_an_error_that_says_what_to_do(day: str) -> None:
    with pytest.raises(AirflowFailException, match="trigger it with one"):
        last_moment(day)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_landed_input_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool) -> None:
    monkeypatch.setattr(landing, "SETTINGS", Settings.of({"KARMA_ROOT": str(tmp_path)}))
    wait = LandingWait(table="events")
    wait.day = "2026-11-20"
    folder = tmp_path / "landing" / "events" / "ds=2026-11-20"
    folder.mkdir(parents=True)
    if is_there:
        (folder / "_SUCCESS").touch()
        assert wait.execute({}) is True  # type: ignore[typeddict-item]
    else:
        with pytest.raises(TaskDeferred) as deferred:
            wait.execute({})  # type: ignore[typeddict-item]
        assert isinstance(deferred.value.trigger, MarkerTrigger)
        assert deferred.value.trigger.marker == str(folder / "_SUCCESS")


def test_a_failed_run_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "SETTINGS", Settings.of({"KARMA_ALERTS": str(tmp_path / "alerts.log")}))
    run = SimpleNamespace(partition_key="2026-11-20", conf={})
    dag = SimpleNamespace(dag_id="interest_features")
    alerts.tell_failed({"dag": dag, "run_id": "r", "dag_run": run, "reason": "task_failure"})  # type: ignore[typeddict-item]
    (line,) = (tmp_path / "alerts.log").read_text().splitlines()
    told = {"alert": "failed", "dag_id": "interest_features", "dag_run_id": "r", "partition_key": "2026-11-20", "reason": "task_failure"}
    assert json.loads(line).items() >= told.items()


def test_the_alert_names_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "SETTINGS", Settings.of({"KARMA_ALERTS": str(tmp_path / "alerts.log")}))
    run = {"dag_id": "interest_features", "dag_run_id": "r", "partition_key": "2026-11-20", "state": "running", "note": "x"}
    asyncio.run(alerts.tell_late({"dag_run": run}))
    (line,) = (tmp_path / "alerts.log").read_text().splitlines()
    assert json.loads(line).items() >= {"alert": "late", "dag_id": "interest_features", "partition_key": "2026-11-20"}.items()
