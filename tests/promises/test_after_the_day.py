"""What follows a published day: training shards, upkeep, promotion."""

import importlib
import json
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable

from jobs.encoders import active_encoders
from jobs.training_shards import SORTED_BY
from schemas import names
from tests.promises.world import World, day
from tests.tiny import tiny_encoder


def run(job: str, *arguments: str) -> int:
    return int(importlib.import_module(f"jobs.{job.replace('-', '_')}").main(list(arguments)))


def shards_of(world: World, offset: int) -> Path:
    return world.root / "training" / "shards" / f"ds={day(offset)}" / f"space_id={world.encoder.space_id}"


def test_shards_hold_every_row_once_and_a_user_in_one_file(world: World) -> None:
    where = ["--root", str(world.root), "--ds", day(1).isoformat()]
    assert run(names.TRAINING_SHARDS_JOB, *where, "--rows-per-shard", "15") == names.EXIT_DONE
    manifest = json.loads((shards_of(world, 1) / "manifest.json").read_text())
    tables = [pq.read_table(shards_of(world, 1) / file["name"]).to_pylist() for file in manifest["files"]]
    assert len(tables) == 3  # 40 impressions
    assert sorted(row["request_id"] for rows in tables for row in rows) == sorted(world.features(1))
    assert [len(rows) for rows in tables] == [file["rows"] for file in manifest["files"]]
    users = [{row["user_id"] for row in rows} for rows in tables]
    assert sum(map(len, users)) == len(set().union(*users))
    for rows in tables:
        assert rows == sorted(rows, key=lambda row: tuple(row[name] for name in SORTED_BY))
    assert sorted(path.name for path in shards_of(world, 1).iterdir()) == ["manifest.json", *(file["name"] for file in manifest["files"])]


def test_shards_are_made_anew_when_the_features_change_and_only_then(world: World) -> None:
    where = ["--root", str(world.root), "--ds", day(1).isoformat()]
    run(names.TRAINING_SHARDS_JOB, *where)
    manifest = shards_of(world, 1) / "manifest.json"
    written, fingerprint = manifest.stat().st_mtime_ns, json.loads(manifest.read_text())["fingerprint"]
    run(names.TRAINING_SHARDS_JOB, *where)
    assert manifest.stat().st_mtime_ns == written
    world.land(names.IMPRESSIONS, 1, [])
    run(names.INGEST_IMPRESSIONS_JOB, *where)
    run(names.RANKING_FEATURES_JOB, *where)
    run(names.TRAINING_SHARDS_JOB, *where)
    assert json.loads(manifest.read_text())["fingerprint"] != fingerprint
    assert json.loads(manifest.read_text())["rows"] == 0


def test_shards_wait_for_the_join(world: World) -> None:
    assert run(names.TRAINING_SHARDS_JOB, "--root", str(world.root), "--ds", day(2).isoformat()) == names.EXIT_INPUT_MISSING


def test_upkeep_changes_no_published_row(world: World) -> None:
    before = [world.snapshot(offset) for offset in (0, 1, 2)]
    far = (day(0) + timedelta(days=365)).isoformat()
    assert run(names.TABLE_UPKEEP_JOB, "--root", str(world.root), "--ds", far) == names.EXIT_DONE
    after = [world.snapshot(offset) for offset in (0, 1, 2)]
    assert [{user: row["fingerprint"] for user, row in rows.items()} for rows in after] == [
        {user: row["fingerprint"] for user, row in rows.items()} for rows in before
    ]
    tables = world.context().tables
    assert tables.read(names.INTEREST_EMBEDDINGS_STAGED).isEmpty()  # all of it is published, and a year old
    assert world.statuses(world.run(2)) == {names.UNCHANGED}
    world.run(3)
    assert world.snapshot(3)


def test_upkeep_keeps_what_waits_to_be_published(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    where = ["--root", str(world.root), "--ds", day(3).isoformat()]
    for job in (
        names.INGEST_EVENTS_JOB, names.INGEST_ITEMS_JOB, names.VISUAL_FEATURES_JOB, names.ITEM_EMBEDDINGS_JOB, names.USER_HISTORIES_JOB,
        names.INTEREST_EMBEDDINGS_JOB, names.VALIDATE_JOB,
    ):  # fmt: skip
        assert run(job, *where) == names.EXIT_DONE
    far = (day(0) + timedelta(days=3650)).isoformat()
    assert run(names.TABLE_UPKEEP_JOB, "--root", str(world.root), "--ds", far) == names.EXIT_DONE
    assert run(names.PUBLISH_JOB, *where) == names.EXIT_DONE
    assert world.snapshot(3)


def test_upkeep_joins_the_ledgers_many_files(world: World) -> None:
    ledger = f"{world.root}/warehouse/{names.RUN_LEDGER}"

    def files() -> int:
        return int(DeltaTable.forPath(world.spark, ledger).detail().collect()[0]["numFiles"])

    rows = world.context().tables.read(names.RUN_LEDGER).count()
    assert files() > 10
    run(names.TABLE_UPKEEP_JOB, "--root", str(world.root), "--ds", day(3).isoformat())
    assert files() < 5
    assert world.context().tables.read(names.RUN_LEDGER).count() == rows + 2  # its own: started, done


def test_a_promotion_moves_the_alias_and_every_space_goes_on(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    heir = world.add_encoder(tiny_encoder(world.root / "encoders", "heir", seed=2))
    assert run(names.PROMOTE_JOB, "--root", str(world.root), "--encoder", "heir") == names.EXIT_DONE
    assert "nothing is published in its space yet" in capsys.readouterr().out.replace("\n", " ")
    rows = {row["version"]: row for row in world.context().tables.rows(names.ENCODER_VERSIONS)}
    assert {version: row["alias"] for version, row in rows.items()} == {"heir": names.CHAMPION, "tiny": None}
    assert [encoder.version for encoder in active_encoders(world.context())] == ["heir", "tiny"]
    again = run(names.PROMOTE_JOB, "--root", str(world.root), "--encoder", "heir", "--run-at", "2026-06-02")
    assert again == names.EXIT_DONE
    later = {row["version"]: row for row in world.context().tables.rows(names.ENCODER_VERSIONS)}
    assert later["heir"]["promoted_at"] == rows["heir"]["promoted_at"]
    assert heir.space_id in world.context().ledger.spaces()


def test_a_job_without_an_encoder_works_in_every_active_space(world: World) -> None:
    heir = world.add_encoder(tiny_encoder(world.root / "encoders", "heir", seed=2))
    where = ["--root", str(world.root), "--ds", day(2).isoformat()]
    for job in (names.ITEM_EMBEDDINGS_JOB, names.INTEREST_EMBEDDINGS_JOB, names.VALIDATE_JOB):
        assert run(job, *where) == names.EXIT_DONE
    assert run(names.PUBLISH_JOB, *where, "--publication", "simulated") == names.EXIT_DONE
    assert world.snapshot(2).keys() == world.snapshot(2, heir.space_id).keys() != set()
