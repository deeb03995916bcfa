"""Fixtures of every test: the Spark session, in two layers."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from jobs.session import build_session


@pytest.fixture(scope="session")
def _spark_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Owns the JVM; tests take ``spark``."""
    spark = build_session("tests", {"spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("spark-warehouse"))})
    yield spark
    spark.stop()


@pytest.fixture
def spark(_spark_session: SparkSession) -> Iterator[SparkSession]:
    """The session, with nothing cached by an earlier test."""
    yield _spark_session
    _spark_session.catalog.clearCache()
