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


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One process takes all of this folder, so that the base world is built once; it starts with it, since it is half of the work."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("promises"))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
