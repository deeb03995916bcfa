"""conf/spark/: a file a target, and the zip that travels."""

import re
import zipfile
from pathlib import Path

import pytest

from jobs.delta_jars import DELTA_PACKAGE
from jobs.project_zip import write_zip
from jobs.session import local_settings

CONF = Path(__file__).resolve().parents[2] / "conf" / "spark"
TARGETS = ("kubernetes", "local", "object-store", "standalone", "yarn")


def settings(target: str) -> dict[str, str]:
    lines = [line for line in (CONF / f"{target}.conf").read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split(maxsplit=1) for line in lines)


def test_there_is_one_file_a_target() -> None:
    assert tuple(sorted(path.stem for path in CONF.iterdir())) == TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_it_brings_the_delta_of_the_lock_and_says_what_was_tested(target: str) -> None:
    assert DELTA_PACKAGE in settings(target)["spark.jars.packages"].split(",")
    assert re.search(r"^# (Not tested|Tested): ", (CONF / f"{target}.conf").read_text(), re.MULTILINE)


@pytest.mark.parametrize("target", TARGETS)
def test_no_credential_is_in_it(target: str) -> None:
    assert [name for name in settings(target) if re.search(r"(access|secret|session|account)\W?(key|token)$|password", name)] == []


def test_local_says_what_a_local_session_says() -> None:
    said, session = settings("local"), local_settings()
    given = {name for name in said if name not in ("spark.jars.packages", "spark.driver.extraJavaOptions")}
    assert {name: said[name] for name in given} == {name: session[name] for name in given}
    assert session["spark.driver.extraJavaOptions"].startswith(said["spark.driver.extraJavaOptions"])


def test_the_zip_has_the_packages_at_its_root_and_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        write_zip(tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    held = zipfile.ZipFile(tmp_path / "one.zip").namelist()
    assert {name.split("/")[0] for name in held} == {"schemas", "karma", "udfs", "jobs"}
    assert {"jobs/run_day.py", "jobs/log4j2.properties"} <= set(held)
    assert [name for name in held if "__pycache__" in name] == []
