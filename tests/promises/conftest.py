"""One base world for all, published once; every scenario works on a copy."""

import fcntl
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.promises.world import World, build_base, copy_of
from tests.tiny import tiny_encoder


@pytest.fixture(scope="session")
def _base(_spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Where tests run in several processes, the first that needs it builds it and the others wait."""
    shared = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    root = shared / "base"
    with (shared / "base.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "base.built").exists():
            build_base(_spark_session, root, tiny_encoder(root / "encoders", "tiny"))
            (shared / "base.built").touch()
    return root


@pytest.fixture
def world(_base: Path, spark: SparkSession, tmp_path: Path) -> World:
    """Days 0 to 2 published, day 3 landed."""
    return copy_of(_base, spark, tmp_path)
