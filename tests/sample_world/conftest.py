"""One small world, made once a session and read back from its files with pandas."""

from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from jobs.places import Places
from jobs.sample_world import World, WorldConfig, generate_world
from schemas import names

SMALL = WorldConfig(users=240, items=420, image_px=48)


class Landed:
    """The landed rows of a world by table, each with ``partition`` and ``day`` (NaT for the bulk load)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.events = _read(world.paths.landing / names.EVENTS)
        self.items = _read(world.paths.landing / names.ITEMS)
        self.impressions = _read(world.paths.landing / names.IMPRESSIONS)


def _read(table: Path) -> pd.DataFrame:
    frames = []
    for folder in sorted(entry for entry in table.iterdir() if entry.is_dir()):
        frame = pd.concat([pd.read_parquet(file) for file in sorted(folder.glob("*.parquet"))])
        frames.append(frame.assign(partition=folder.name))
    rows = pd.concat(frames, ignore_index=True)
    return rows.assign(day=pd.to_datetime(rows.partition.str.removeprefix("ds="), format="%Y-%m-%d", errors="coerce", utc=True))


@pytest.fixture(scope="session")
def world(_spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> World:
    return generate_world(_spark_session, Places(str(tmp_path_factory.mktemp("world"))), SMALL)


@pytest.fixture(scope="session")
def landed(world: World) -> Landed:
    return Landed(world)
