"""Fixtures of the tests of bad input."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.ingest.warehouse import Warehouse


@pytest.fixture
def warehouse(spark: SparkSession, tmp_path: Path) -> Warehouse:
    """An empty warehouse and landing zone."""
    return Warehouse(spark, tmp_path)
