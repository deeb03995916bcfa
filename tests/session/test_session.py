"""The session: what holds whoever starts it, and that spark-submit's own settings win."""

import json
import os
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.delta_jars import delta_jars
from jobs.java import ensure_java
from jobs.session import build_session
from tests.house.tree import PACKAGES, ROOT

_TOY = """
import json, sys
import jobs
from jobs.session import build_session

spark = build_session("toy", {"spark.sql.files.maxRecordsPerFile": "11"})
spark.range(3).write.format("delta").save(sys.argv[1] + "/table")
json.dump({
    "jobs": jobs.__file__,
    "master": spark.sparkContext.master,
    "rows": spark.read.format("delta").load(sys.argv[1] + "/table").count(),
    "partitions": spark.conf.get("spark.sql.shuffle.partitions"),
    "zone": spark.conf.get("spark.sql.session.timeZone"),
    "override": spark.conf.get("spark.sql.files.maxRecordsPerFile"),
}, open(sys.argv[1] + "/seen.json", "w"))
spark.stop()
"""


def test_a_running_session_is_returned_in_utc_again(spark: SparkSession) -> None:
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    again = build_session("another", {"spark.sql.shuffle.partitions": "77"})
    assert again is spark
    assert again.conf.get("spark.sql.session.timeZone") == "UTC"
    assert again.conf.get("spark.sql.shuffle.partitions") == "2"


def test_written_times_are_microseconds(spark: SparkSession, tmp_path: Path) -> None:
    """Read back without Spark: its default format comes out as nanoseconds there."""
    import pyarrow.parquet

    instant = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    spark.createDataFrame([(instant,)], "at timestamp").write.parquet(str(tmp_path / "times"))
    column = pyarrow.parquet.read_table(tmp_path / "times")["at"]
    assert str(column.type) == "timestamp[us, tz=UTC]"
    assert column.to_pylist() == [instant]


@pytest.fixture
def project_zip(tmp_path: Path) -> Path:
    target = tmp_path / "project.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for package in PACKAGES:
            for path in (ROOT / package).rglob("*.py"):
                archive.write(path, path.relative_to(ROOT))
    return target


def submit(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "toy.py").write_text(_TOY)
    environ = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    ensure_java(environ)
    command = [str(Path(sys.executable).with_name("spark-submit")), *options, str(folder / "toy.py"), str(folder)]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=180)


def test_what_spark_submit_says_wins(tmp_path: Path, project_zip: Path) -> None:
    with delta_jars() as jars:
        given = {**jars, "spark.sql.shuffle.partitions": "7", "spark.sql.session.timeZone": "Asia/Tokyo", "spark.ui.enabled": "false"}
        options = [word for key, value in given.items() for word in ("--conf", f"{key}={value}")]
        answer = submit(tmp_path, "--master", "local[1]", "--py-files", str(project_zip), *options)
    assert answer.returncode == 0, answer.stdout + answer.stderr[-3000:]
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert "project.zip" in seen.pop("jobs")
    assert seen == {"master": "local[1]", "rows": 3, "partitions": "7", "zone": "UTC", "override": "11"}


def test_a_submission_without_delta_says_what_to_add(tmp_path: Path, project_zip: Path) -> None:
    answer = submit(tmp_path, "--master", "local[1]", "--py-files", str(project_zip), "--conf", "spark.ui.enabled=false")
    assert answer.returncode == 1
    assert "NO_DELTA" in answer.stdout + answer.stderr
    assert "--packages io.delta:delta-spark_4.2_2.13" in answer.stdout + answer.stderr
