"""The properties file of spark-submit."""

from pathlib import Path

import pytest

from jobs import submit_conf


def test_it_says_what_a_local_session_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KARMA_JARS", str(tmp_path))
    (tmp_path / "delta.jar").touch()
    assert submit_conf.main(["--out", str(tmp_path / "conf" / "spark.conf"), "--few-rows"]) == 0
    said = dict(line.split(" ", 1) for line in (tmp_path / "conf" / "spark.conf").read_text().splitlines())
    assert said["spark.sql.session.timeZone"] == "UTC"
    assert said["spark.jars"] == f"{tmp_path}/delta.jar"
    assert said["spark.sql.codegen.wholeStage"] == "false"
    assert "spark.master" not in said


def test_a_backslash_is_one_for_its_reader() -> None:
    assert submit_conf.properties({"b": "2", "a": "C:\\x"}) == "a C:\\\\x\nb 2\n"
