"""The local Airflow ends its own processes alone, and speaks to its own database."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scripts.local_airflow import PARTS, LocalAirflow, is_alive, members, notes_of, start, stop


@pytest.fixture
def local(tmp_path: Path) -> LocalAirflow:
    return LocalAirflow(home=tmp_path, world=tmp_path / "world", port=1)


@pytest.fixture
def session() -> Iterator[psutil.Process]:
    """The leader of a session of its own."""
    leader = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    yield psutil.Process(leader.pid)
    leader.kill()
    leader.wait()


def note(local: LocalAirflow, session: psutil.Process, since: float) -> None:
    local.notes.write_text(json.dumps({"scheduler": {"pid": session.pid, "since": since, "port": 8080}}))


def test_a_part_is_ended(local: LocalAirflow, session: psutil.Process) -> None:
    note(local, session, session.create_time())
    assert members(local) == [session]
    stop(local)
    assert not is_alive(session)


@pytest.mark.parametrize("since", [-100.0, -1e9])
def test_a_stranger_who_took_over_the_id_is_left_alone(local: LocalAirflow, session: psutil.Process, since: float) -> None:
    """Since then the part has ended, or the machine has started anew."""
    note(local, session, session.create_time() + since)
    assert members(local) == []
    stop(local)
    assert is_alive(session)


def test_the_database_of_another_airflow_is_not_touched(local: LocalAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://elsewhere/airflow")
    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in local.environ()


def test_what_the_caller_has_of_spark_and_proxies_does_not_reach_the_jobs(local: LocalAirflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", "/opt/another-spark")
    monkeypatch.setenv("no_proxy", "intranet")
    environ = local.environ()
    assert (Path(environ["SPARK_HOME"]) / "bin" / "spark-class").is_file()
    assert environ["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert environ["NO_PROXY"].endswith("127.0.0.1,localhost")


def test_a_start_on_another_port_says_where_it_runs(local: LocalAirflow, session: psutil.Process) -> None:
    note = {"pid": session.pid, "since": session.create_time(), "port": 8080}
    parts = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True) for _ in PARTS]
    notes = {
        name: {**note, "pid": part.pid, "since": psutil.Process(part.pid).create_time()} for name, part in zip(PARTS, parts, strict=True)
    }
    local.notes.write_text(json.dumps(notes))
    try:
        with pytest.raises(SystemExit, match=r"runs already, at http://127\.0\.0\.1:8080"):
            start(local, [])
    finally:
        stop(local)
        for part in parts:
            part.wait()


def test_damaged_notes_are_named(local: LocalAirflow) -> None:
    local.notes.write_text('{"scheduler": {"pi')
    with pytest.raises(SystemExit, match=r"processes\.json is damaged"):
        notes_of(local)
