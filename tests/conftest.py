"""Fixtures of every test: the Spark session, in two layers, and hypothesis with a budget."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Before torch is imported. Two test processes with two spinning threads each, on two cores: a training of 12 tiny steps took 1.8 to 5 s
# instead of 0.5 s.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A worker of pytest-xdist is started from a string. PySpark takes a main module without a file for a doctest run, and exits on import.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = __file__

_VAR = Path(__file__).resolve().parents[1] / "var"

# No deadline: on a shared machine a slow example says nothing. Counterexamples are kept under var/, to be tried first next time;
# continuous integration draws the same examples in every run.
settings.register_profile(
    "local",
    deadline=None,
    database=DirectoryBasedExampleDatabase(_VAR / "cache" / "hypothesis"),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "local")


_LONGEST_FIRST = ("end_to_end/", "promises/test_scenarios", "promises/", "own_data/", "udfs/", "session/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The minutes before the seconds: a process that begins a long file last lets the other one wait."""

    def place(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((place for place, part in enumerate(_LONGEST_FIRST) if f"/tests/{part}" in path), len(_LONGEST_FIRST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def _spark_session(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[SparkSession]":
    """Owns the JVM; tests take ``spark``. Imported here, so that tests without Spark start at once."""
    from jobs.session import FEW_ROWS, build_session, local_settings

    options = "spark.driver.extraJavaOptions"
    folder = tmp_path_factory.mktemp("spark")
    spark = build_session(
        "tests",
        {
            # As on the smallest machine, whatever this one has.
            "spark.master": "local[2]",
            # One JVM for hundreds of tests: with 2 GB it collected garbage for most of the later ones' time.
            "spark.driver.memory": "3g",
            # And unlike a job's it lives long enough for the second compiler to pay: 13.6 instead of 16.4 minutes (docs/experiments.md).
            options: f"{local_settings()[options]} -XX:TieredStopAtLevel=4",
            **FEW_ROWS,
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.local.dir": str(folder / "scratch"),
        },
    )
    yield spark
    spark.stop()


@pytest.fixture
def spark(_spark_session: "SparkSession") -> "Iterator[SparkSession]":
    """The session as it was at its start: no cached frame, no temporary view and no changed setting of an earlier test."""
    before = _spark_session.conf.getAll
    yield _spark_session
    _spark_session.catalog.clearCache()
    for table in _spark_session.catalog.listTables():
        if table.isTemporary:
            _spark_session.catalog.dropTempView(table.name)
    _restore(_spark_session, before)


def _restore(spark: "SparkSession", before: dict[str, str]) -> None:
    after = spark.conf.getAll
    for key in after.keys() - before.keys():
        if spark.conf.isModifiable(key):
            spark.conf.unset(key)
    for key, value in before.items():
        if after.get(key) != value and spark.conf.isModifiable(key):
            spark.conf.set(key, value)
