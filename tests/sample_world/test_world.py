"""A world as a whole: same seed, same rows; all of it or nothing; a finished one is kept."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from jobs.errors import JobError, UsageError
from jobs.places import Places
from jobs.sample_world import World, WorldConfig, generate_world, writer
from jobs.sample_world.commit import WorldPaths, finish_interrupted, is_settled, partial_folder, world_paths
from jobs.sample_world.users import Tastes, Trait, tastes_of, trait_of
from tests.sample_world.conftest import SMALL, Landed


def _sorted_rows(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    return sorted(tuple(map(repr, row)) for row in frame.drop(columns="day").itertuples(index=False))


def test_rows_do_not_depend_on_the_partitioning(
    spark: SparkSession, landed: Landed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_USERS_PER_TASK", 17)
    monkeypatch.setattr(writer, "_ROWS_PER_BATCH", 5)
    again = generate_world(spark, Places(str(tmp_path)), SMALL)
    other = Landed(again)
    for table in ("events", "items", "impressions"):
        assert _sorted_rows(getattr(other, table)) == _sorted_rows(getattr(landed, table)), table
    files = ["world.json", "targets.parquet", "ladder.json", "truth/items.parquet", "truth/targets.parquet"]
    here, there = landed.world.paths.world, again.paths.world
    assert [name for name in files if (here / name).read_bytes() != (there / name).read_bytes()] == []


def test_another_seed_gives_another_world() -> None:
    one, other = (dataclasses.replace(SMALL, seed=seed) for seed in (1, 2))
    assert one.digest != other.digest
    assert one.rng("user", 3).random() != other.rng("user", 3).random()
    assert one.rng("user", 3).random() != one.rng("user", 4).random()


def test_a_finished_world_is_kept(spark: SparkSession, world: World) -> None:
    files = sorted(file for file in world.paths.landing.parent.rglob("*") if file.is_file())
    before = [(file, file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    again = generate_world(spark, Places(str(world.paths.landing.parent)), SMALL)
    assert again.kept
    assert not world.kept
    assert (again.rows, again.ladder, again.days) == (world.rows, world.ladder, world.days)
    assert [(file, file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before


def test_another_world_is_not_overwritten_unasked(world: World) -> None:
    larger = dataclasses.replace(SMALL, users=241)
    with pytest.raises(JobError, match="WORLD_EXISTS"):
        is_settled(world.paths, larger, replace=False)
    assert not is_settled(world.paths, larger, replace=True)
    assert is_settled(world.paths, SMALL, replace=True)


def test_a_landing_zone_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "landing" / "events" / "ds=2026-01-01" / "rows.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("user_id\n")
    with pytest.raises(JobError, match="LANDING_NOT_EMPTY"):
        is_settled(world_paths(Places(str(tmp_path))), SMALL, replace=True)
    assert mine.exists()


def _built(places: Places) -> tuple[Path, WorldPaths]:
    """A partial folder that holds one file a part of a world."""
    partial = partial_folder(places)
    for name in ("landing/events/bulk/a", "landing/items/bulk/a", "landing/impressions/bulk/a", "world/truth/a", "world/world.json"):
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        (partial / name).write_text(name)
    return partial, world_paths(places)


def test_what_was_not_built_whole_is_dropped(tmp_path: Path) -> None:
    partial, paths = _built(Places(str(tmp_path)))
    finish_interrupted(partial, paths)
    assert list(tmp_path.iterdir()) == []
    assert not paths.manifest.exists()


@pytest.mark.parametrize("moved", [(), ("landing/events",), ("landing/events", "landing/items", "landing/impressions", "world/truth")])
def test_a_move_that_was_interrupted_is_finished(tmp_path: Path, moved: tuple[str, ...]) -> None:
    partial, paths = _built(Places(str(tmp_path)))
    (partial / "READY").touch()
    for name in moved:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (partial / name).rename(tmp_path / name)
    finish_interrupted(partial, paths)
    found = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file())
    expected = ["landing/events/bulk/a", "landing/impressions/bulk/a", "landing/items/bulk/a", "world/truth/a", "world/world.json"]
    assert found == expected
    assert not partial.exists()


@pytest.mark.parametrize("wrong", [{"users": 0}, {"items": 200}, {"days": 0}, {"history_days": 5}, {"image_px": 1}])
def test_a_world_too_small_to_show_anything_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="WORLD_TOO_SMALL"):
        WorldConfig(**wrong)  # type: ignore[arg-type]


def test_a_place_that_is_no_folder_is_refused() -> None:
    with pytest.raises(UsageError, match="NOT_LOCAL"):
        world_paths(Places("hdfs://somewhere/demo"))


def test_a_taste_holds_from_its_start_inclusive_to_the_next_exclusive() -> None:
    tastes = Tastes(starts_us=(0, 10, 20), mixtures=((1.0, 0.0), (0.5, 0.5), (0.0, 1.0)))
    assert [tastes.at(time)[0] for time in (-1, 0, 9, 10, 19, 20, 99)] == [1.0, 1.0, 1.0, 0.5, 0.5, 0.0, 0.0]


def test_tastes_hold_one_to_three_styles_and_drift() -> None:
    tastes = [tastes_of(SMALL, index) for index in range(200)]
    mixtures = [mixture for taste in tastes for mixture in taste.mixtures]
    assert {sum(share > 0 for share in mixture) for mixture in mixtures} == {1, 2, 3}
    assert [sum(mixture) for mixture in mixtures] == pytest.approx([1.0] * len(mixtures))
    # a Poisson count of mean 63 / 45 after the first regime: standard error .08
    assert np.mean([len(taste.starts_us) - 1 for taste in tastes]) == pytest.approx(63 / 45, abs=0.35)


def test_two_hundred_users_show_every_trait_and_each_has_one() -> None:
    """Traits are periodic: 200 is a multiple of every period, and the remainders are apart."""
    counts = np.unique([trait_of(index).name for index in range(200)], return_counts=True)
    found = dict(zip(*(column.tolist() for column in counts), strict=True))
    eights = ("NONE", "ONE", "NEWCOMER", "LATE", "BURST", "REDELIVERED")
    fours = ("TOO_LATE", "NULL_USER", "UNKNOWN_TYPE", "UNKNOWN_ITEM", "FUTURE")
    odd = {"HEAVY": 1} | dict.fromkeys(eights, 8) | dict.fromkeys(fours, 4)
    assert found == odd | {"ORDINARY": 200 - sum(odd.values())}
    assert {trait.name for trait in Trait} == set(found)
