"""One base world a session, published once; every scenario works on its own copy."""

import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.promises.world import World, build_base
from tests.tiny import tiny_encoder


@pytest.fixture(scope="session")
def _base(_spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("base")
    build_base(_spark_session, root, tiny_encoder(root / "encoders", "tiny"))
    return root


@pytest.fixture
def world(_base: Path, spark: SparkSession, tmp_path: Path) -> World:
    """Days 0 to 2 published, day 3 landed."""
    shutil.copytree(_base, tmp_path / "world")
    return World(spark, tmp_path / "world")
