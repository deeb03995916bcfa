"""All of a world or nothing: it is built beside its place and moved there; world.json comes last."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import JobError, UsageError
from jobs.places import Places
from jobs.sample_world.config import BULK, WorldConfig
from jobs.sample_world.writer import TABLES


@dataclass(frozen=True)
class WorldPaths:
    """Where a world lies: landing zone, and beside it what no job may read but evaluation.

    Attributes:
        landing: holds ``<table>/bulk`` and ``<table>/ds=...``.
        world: holds world.json, targets.parquet, truth/ and ladder.json.
    """

    landing: Path
    world: Path

    @property
    def targets(self) -> Path:
        return self.world / "targets.parquet"

    @property
    def ladder(self) -> Path:
        return self.world / "ladder.json"

    @property
    def truth(self) -> Path:
        return self.world / "truth"

    @property
    def manifest(self) -> Path:
        """Written last: where it is, the world is whole."""
        return self.world / "world.json"

    def bulk(self, table: str) -> Path:
        """The folder of everything before the first demo day."""
        return self.landing / table / BULK


def world_paths(places: Places) -> WorldPaths:
    """Raises UsageError where ``places`` is no local folder."""
    if "://" in places.root or "://" in places.landing:
        raise UsageError("NOT_LOCAL", "a sample world is made in a local folder", got=places.root)
    return WorldPaths(landing=Path(places.landing), world=Path(places.root) / "world")


def partial_folder(places: Places) -> Path:
    """Where a world is built: ``landing/`` and ``world/`` in it, and a READY file once they are whole."""
    return Path(places.root) / ".world-partial"


def commit(partial: Path, paths: WorldPaths) -> None:
    """Put the world that was built whole in ``partial`` in its place; an interruption is made good by ``finish_interrupted``."""
    paths.manifest.unlink(missing_ok=True)
    _ready(partial).touch()
    finish_interrupted(partial, paths)


def finish_interrupted(partial: Path, paths: WorldPaths) -> None:
    """Move a world that was built whole to its place, or drop one that was not; doing it again does no harm."""
    if _ready(partial).exists():
        sources = [entry for entry in (partial / "world").glob("*") if entry.name != paths.manifest.name]
        moves = [(partial / "landing" / table, paths.landing / table) for table in TABLES]
        moves += [(source, paths.world / source.name) for source in sources]
        moves += [(partial / "world" / paths.manifest.name, paths.manifest)]
        for source, place in moves:
            _move(source, place)
    shutil.rmtree(partial, ignore_errors=True)


def is_settled(paths: WorldPaths, config: WorldConfig, *, replace: bool) -> bool:
    """Whether the world of ``config`` is there; False where it may be made.

    Raises:
        JobError: another world is there and ``replace`` is not set (WORLD_EXISTS), or rows that no world wrote (LANDING_NOT_EMPTY).
    """
    if not paths.manifest.exists():
        if any((paths.landing / table).exists() for table in TABLES):
            raise JobError("LANDING_NOT_EMPTY", "no world wrote what is in the landing zone", got=paths.landing, hint="take another --root")
        return False
    found = json.loads(paths.manifest.read_text())["digest"]
    if found != config.digest and not replace:
        raise JobError(
            "WORLD_EXISTS", "another world is there", partition=str(paths.world), expected=config.digest, got=found,
            hint="take another --root, or --replace it (tables made from it stay as they are)",
        )  # fmt: skip
    return bool(found == config.digest)


def _ready(partial: Path) -> Path:
    return partial / "READY"


def _move(source: Path, place: Path) -> None:
    if not source.exists():
        return
    if place.is_dir():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, place)
