"""Makes a world: landing zone, targets, truth and ladder."""

import json
import logging
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow.dataset
from pyspark.sql import SparkSession

from jobs.places import Places
from jobs.sample_world.catalogue import make_catalogue
from jobs.sample_world.commit import WorldPaths, commit, finish_interrupted, is_settled, partial_folder, world_paths
from jobs.sample_world.config import GENERATOR_VERSION, WorldConfig
from jobs.sample_world.ladder import POLICY, K, Rung, climb
from jobs.sample_world.ladder_inputs import gather
from jobs.sample_world.targets import write_targets
from jobs.sample_world.writer import TABLES, write_landing

log = logging.getLogger("karma.sample_world")


@dataclass(frozen=True, kw_only=True)
class World:
    """A finished world.

    Attributes:
        days: the demo days, in order, each a landing partition.
        trained_until: end of the bulk load, exclusive (UTC).
        rows: by table and landing partition.
        kept: whether it was there before.
    """

    config: WorldConfig
    days: list[date]
    trained_until: datetime
    paths: WorldPaths
    rows: dict[str, dict[str, int]]
    ladder: list[Rung]
    kept: bool


def generate_world(spark: SparkSession, places: Places, config: WorldConfig | None = None, *, replace: bool = False) -> World:
    """Write the world of ``config`` (default: WorldConfig()) under ``places``, or find it there and touch nothing.

    An interrupted generation is finished or made again. ``replace`` removes a world of another config, with all its landed rows.

    Raises:
        UsageError: ``places`` is no local folder.
        JobError: another world is there and ``replace`` is not set (WORLD_EXISTS), or rows that no world wrote (LANDING_NOT_EMPTY).
    """
    config = config or WorldConfig()
    paths, partial = world_paths(places), partial_folder(places)
    finish_interrupted(partial, paths)
    if is_settled(paths, config, replace=replace):
        log.info("the world is there already: kept")
        return _load(paths, config, kept=True)
    log.info("making a world of %d users and %d items, %d + %d days", config.users, config.items, config.history_days, config.days)
    _build(spark, config, WorldPaths(landing=partial / "landing", world=partial / "world"))
    commit(partial, paths)
    return _load(paths, config, kept=False)


def _build(spark: SparkSession, config: WorldConfig, paths: WorldPaths) -> None:
    catalogue = make_catalogue(config)
    write_landing(spark, catalogue, paths.landing)
    log.info("landing zone written")
    write_targets(spark, catalogue, paths.landing, paths.world)
    rungs = climb(gather(spark, paths.landing, paths.world))
    log.info("ladder: %s", ", ".join(f"{rung.name} {rung.hit_rate:.3f}" for rung in rungs))
    paths.ladder.write_text(_json({"k": K, "policy": POLICY, "rungs": [asdict(rung) for rung in rungs]}))
    paths.manifest.write_text(_json(_manifest(config, paths.landing)))


def _manifest(config: WorldConfig, landing: Path) -> dict[str, object]:
    return {
        "digest": config.digest,
        "generator_version": GENERATOR_VERSION,
        "parameters": asdict(config),
        "days": config.demo_days,
        "trained_until": config.trained_until.isoformat(),
        "rows": {table: _count_rows(landing / table) for table in TABLES},
    }


def _count_rows(table: Path) -> dict[str, int]:
    """Rows by landing partition."""
    folders = sorted(folder for folder in table.iterdir() if folder.is_dir())
    return {folder.name: pyarrow.dataset.dataset(sorted(folder.glob("*.parquet"))).count_rows() for folder in folders}


def _json(content: dict[str, object]) -> str:
    return json.dumps(content, indent=2, default=str) + "\n"


def _load(paths: WorldPaths, config: WorldConfig, *, kept: bool) -> World:
    ladder = json.loads(paths.ladder.read_text())
    return World(
        config=config,
        days=list(config.demo_days),
        trained_until=config.trained_until,
        paths=paths,
        rows=json.loads(paths.manifest.read_text())["rows"],
        ladder=[Rung(**rung) for rung in ladder["rungs"]],
        kept=kept,
    )
