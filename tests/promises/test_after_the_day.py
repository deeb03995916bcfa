"""What follows a published day: training shards, upkeep, promotion."""

import importlib
import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable

from jobs.day import run_day
from jobs.encoders import active_encoders, encoder_of, make_champion
from jobs.errors import InputMissingError, JobError, VersionGoneError
from jobs.training_shards import SORTED_BY
from jobs.transforms.label_window import LabelWindow, first_taken
from schemas import names
from schemas.contracts import CONTRACTS
from schemas.upkeep import KEPT_DAYS
from tests.promises.world import ITEMS, PUBLISHING, RUN_AT, World, base_events, click, day, moment, rows_of, titled
from tests.report.browser import Elements
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


def staged_now(world: World) -> set[str]:
    """Days whose staged rows can be read at the newest version."""
    return {str(row["ds"]) for row in world.context().tables.read(names.INTEREST_EMBEDDINGS_STAGED).select("ds").distinct().collect()}


def test_upkeep_changes_no_published_row_and_keeps_what_waits(world: World) -> None:
    """Ten years later, with a day that was judged and not yet published."""
    steps = PUBLISHING[:-1]
    assert {row.status for row in run_day(world.context(), world.options, day(3), [world.encoder], steps)} == {names.DONE}
    ledger = DeltaTable.forPath(world.spark, f"{world.root}/warehouse/{names.RUN_LEDGER}")
    told = world.context().tables.read(names.RUN_LEDGER).count()
    assert int(ledger.detail().collect()[0]["numFiles"]) > 10
    before = [rows_of(world, offset) for offset in (0, 1, 2)]
    far = (day(0) + timedelta(days=3650)).isoformat()
    assert run(names.TABLE_UPKEEP_JOB, "--root", str(world.root), "--ds", far) == names.EXIT_DONE
    assert [rows_of(world, offset) for offset in (0, 1, 2)] == before
    assert int(ledger.detail().collect()[0]["numFiles"]) < 5
    assert world.context().tables.read(names.RUN_LEDGER).count() == told + 2  # its own: started, done
    assert staged_now(world) == {day(3).isoformat()}
    # What was published can be published in another way though what it was staged from is gone; what waits can still be published.
    again, where = ["--root", str(world.root), "--ds", day(1).isoformat()], ["--root", str(world.root), "--ds", day(3).isoformat()]
    assert run(names.PUBLISH_JOB, *again, "--publication", "simulated") == names.EXIT_DONE
    assert run(names.PUBLISH_JOB, *where, "--publication", "live") == names.EXIT_DONE
    assert run(names.PUBLISH_JOB, *where, "--publication", "simulated") == names.EXIT_DONE
    assert {row["publication"] for row in world.snapshot(3).values()} == {names.LIVE}
    assert world.context().ledger.state(names.PUBLISH_JOB, day(3), world.encoder.space_id).status == names.UNCHANGED
    assert run(names.VALIDATE_JOB, *again, "--recompute") == names.EXIT_INPUT_MISSING
    assert world.statuses(world.run(2)) == {names.UNCHANGED}


def test_a_promotion_moves_the_alias_and_every_space_goes_on(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    heir = world.add_encoder(tiny_encoder(world.root / "encoders", "heir", seed=2))
    overruled = ["--without-evidence", "the alias alone is looked at"]
    assert run(names.PROMOTE_JOB, "--root", str(world.root), "--encoder", "heir", *overruled) == names.EXIT_DONE
    assert "nothing is published in its space yet" in capsys.readouterr().out.replace("\n", " ")
    rows = {row["version"]: row for row in world.context().tables.rows(names.ENCODER_VERSIONS)}
    assert {version: row["alias"] for version, row in rows.items()} == {"heir": names.CHAMPION, "tiny": None}
    assert [encoder.version for encoder in active_encoders(world.context())] == ["heir", "tiny"]
    again = run(names.PROMOTE_JOB, "--root", str(world.root), "--encoder", "heir", "--run-at", "2026-06-02")
    assert again == names.EXIT_DONE
    later = {row["version"]: row for row in world.context().tables.rows(names.ENCODER_VERSIONS)}
    assert later["heir"]["promoted_at"] == rows["heir"]["promoted_at"]
    assert heir.space_id in world.context().ledger.spaces()


def test_an_encoder_is_judged_on_what_came_after_its_training(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    where = ["--root", str(world.root)]
    asking, *others = base_events(1)
    world.land(names.EVENTS, 1, [{**asking, "query": "a lamp"}, *others])
    assert run(names.INGEST_EVENTS_JOB, *where, "--ds", day(1).isoformat()) == names.EXIT_DONE
    later = world.add_encoder(tiny_encoder(world.root / "encoders", "later", seed=4, trained_until=f"{day(1)}T00:00:00+00:00"))
    assert run(names.EVALUATE_JOB, *where, "--encoder", "later", "--window-days", "2", "--probe-steps", "2") == names.EXIT_DONE
    row = world.context().ledger.state(names.EVALUATE_JOB, day(2), later.space_id)
    assert all((world.root / path).is_file() and not Path(path).is_absolute() for path in json.loads(row.details["left"]))
    takers = {event["user_id"] for offset in (1, 2) for event in base_events(offset)}
    figures = json.loads(row.details["figures"])
    assert (figures["n"], figures["corpus"]) == (len(takers), len(ITEMS))
    assert 0 <= figures["encoder"]["HR@10"] <= 1
    assert figures["query"]["n"] == 1
    assert {"encoder", "encoder, query appended"} <= figures["query"].keys()
    assert figures["days_not_ingested"] == []
    told, page = capsys.readouterr().out, world.root / "report" / "encoder-later" / "index.html"
    assert "popularity" in told
    assert str(page) in told
    assert Elements(page.read_text(encoding="utf-8")).texts["fact-targets"] == str(len(takers))
    renamed = [titled(item, f"another {title}", moment(-30)) for item, title in ITEMS.items()]
    world.land(names.ITEMS, 0, renamed)  # known before the window: what is read is another text
    assert run(names.INGEST_ITEMS_JOB, *where, "--ds", day(0).isoformat()) == names.EXIT_DONE
    for status in (names.DONE, names.UNCHANGED):
        assert run(names.EVALUATE_JOB, *where, "--encoder", "later", "--window-days", "2", "--probe-steps", "2") == names.EXIT_DONE
        assert world.context().ledger.state(names.EVALUATE_JOB, day(2), later.space_id).status == status
    assert run(names.EVALUATE_JOB, *where, "--encoder", "later", "--window-days", "6", "--probe-steps", "0") == names.EXIT_DONE
    wider = json.loads(world.context().ledger.state(names.EVALUATE_JOB, day(6), later.space_id).details["figures"])
    assert wider["days_not_ingested"][-1] == day(6).isoformat()
    assert day(2).isoformat() not in wider["days_not_ingested"]
    assert run(names.EVALUATE_JOB, *where, "--encoder", "later", "--window-days", "2", "--probe-steps", "2") == names.EXIT_DONE
    assert world.context().ledger.state(names.EVALUATE_JOB, day(2), later.space_id).status == names.DONE  # the page was the wider one's
    assert Elements(page.read_text(encoding="utf-8")).texts["fact-targets"] == str(len(takers))
    assert run(names.EVALUATE_JOB, *where, "--encoder", "later", "--window-days", "0") == names.EXIT_USAGE
    assert run(names.TRAINING_EXAMPLES_JOB, *where, "--trained-until", "1999-01-01") == names.EXIT_INPUT_MISSING
    assert "NO_EVENTS" in caplog.text
    folders = set((world.root / "training" / "data").iterdir())
    assert run(names.TRAINING_EXAMPLES_JOB, *where, "--trained-until", day(1).isoformat()) == names.EXIT_DONE
    assert set((world.root / "training" / "data").iterdir()) == folders  # what the evaluation had read
    assert run(names.TRAINING_EXAMPLES_JOB, *where, "--trained-until", day(1).isoformat()) == names.EXIT_DONE
    assert world.context().ledger.state(names.TRAINING_EXAMPLES_JOB, day(0)).status == names.UNCHANGED


def test_the_first_item_after_training_is_the_target(world: World) -> None:
    instant = timedelta(microseconds=1)
    rows = [
        click("before", "u1", "i00", moment(5) - instant),
        click("b", "u1", "i02", moment(5)),
        {**click("a", "u1", "i01", moment(5)), "query": "a lamp"},
        click("c", "u2", "i03", moment(6) - instant),
        click("d", "u3", "i03", moment(6)),
        {**click("q", "u4", "i00", moment(5)), "item_id": None, "query": "lamp"},
        {**click("late", "u2", "i04", moment(5)), "ds": day(7)},
    ]
    events = world.spark.createDataFrame([{"ds": day(5), **row} for row in rows], CONTRACTS[names.EVENTS].ddl)
    taken = first_taken(events, LabelWindow(since=moment(5), days=1))
    at = round(moment(5).timestamp() * 1_000_000)
    assert {row["user_id"]: (row["item_id"], row["taken_at"], row["query"]) for row in taken.collect()} == {
        "u1": ("i01", at, "a lamp"),
        "u2": ("i03", at + 86_400_000_000 - 1, None),
    }


def test_a_retired_encoder_is_produced_no_more(world: World) -> None:
    heir = world.add_encoder(tiny_encoder(world.root / "encoders", "heir", seed=2))
    where = ["--root", str(world.root)]
    assert run(names.RETIRE_JOB, *where, "--encoder", "tiny") == names.EXIT_USAGE  # the champion
    assert run(names.RETIRE_JOB, *where, "--encoder", "none") == names.EXIT_INPUT_MISSING
    shutil.rmtree(heir.folder)  # a lost artefact is a reason to retire its encoder
    assert run(names.RETIRE_JOB, *where, "--encoder", "heir") == names.EXIT_DONE
    assert [encoder.version for encoder in active_encoders(world.context())] == ["tiny"]
    rows = world.context().ledger.rows(names.RETIRE_JOB, heir.space_id)
    assert [row.status for row in rows] == [names.STARTED, names.DONE]
    with pytest.raises(InputMissingError, match="it is retired: karma retire --encoder heir --undo"):
        encoder_of(world.context(), "heir")
    with pytest.raises(JobError, match="ROWS_MOVED"):  # it was retired while it was compared
        make_champion(world.context(), "heir", {}, instead_of="tiny")
    tiny_encoder(heir.folder.parent, "heir", seed=2)
    assert run(names.RETIRE_JOB, *where, "--encoder", "heir", "--undo") == names.EXIT_DONE
    assert [encoder.version for encoder in active_encoders(world.context())] == ["heir", "tiny"]
    with pytest.raises(JobError, match="ROWS_MOVED"):  # another one became champion meanwhile
        make_champion(world.context(), "heir", {}, instead_of=None)
    make_champion(world.context(), "heir", {}, instead_of="tiny")
    assert run(names.RETIRE_JOB, *where, "--encoder", "tiny", "--undo") == names.EXIT_INPUT_MISSING, "it is active"


def test_a_registration_beside_a_promotion_is_not_lost(world: World) -> None:
    tables = world.context().tables

    def renamed(name: str, meanwhile: Callable[[dict[str, Any]], None]) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
        def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            meanwhile(rows[0])
            return [{**row, "artefact_uri": name} for row in rows]

        return change

    def registers(row: dict[str, Any]) -> None:
        tables.append_rows([{**row, "version": "meanwhile", "alias": None}], names.ENCODER_VERSIONS)

    def renames(row: dict[str, Any]) -> None:
        tables.change_rows(renamed("third", lambda _: None), names.ENCODER_VERSIONS)

    tables.change_rows(renamed("first", registers), names.ENCODER_VERSIONS)
    uris = {row["version"]: row["artefact_uri"] for row in tables.rows(names.ENCODER_VERSIONS)}
    assert {version: uri == "first" for version, uri in uris.items()} == {"tiny": True, "meanwhile": False}
    with pytest.raises(JobError, match="ROWS_MOVED"):
        tables.change_rows(renamed("second", renames), names.ENCODER_VERSIONS)
    assert {row["artefact_uri"] for row in tables.rows(names.ENCODER_VERSIONS)} == {"third"}


def test_a_look_back_reads_what_was_published_then_and_changes_no_state(world: World) -> None:
    where = ["--root", str(world.root), "--ds", day(1).isoformat()]
    before = world.features(1)
    space = world.encoder.space_id
    (row,) = [row for row in world.context().ledger.rows(names.PUBLISH_JOB, space) if row.ds == day(0) and row.status == names.DONE]
    known_at = (row.at + timedelta(microseconds=1)).isoformat()
    world.land(names.EVENTS, 0, base_events(0)[:-1])  # day 0 as it is known now lacks an event
    world.run(0, run_at=RUN_AT + timedelta(days=1))
    assert run(names.RANKING_FEATURES_JOB, *where, "--known-at", known_at) == names.EXIT_DONE
    looked = world.context().ledger.state(names.LOOK_BACK_JOB, day(1), space)
    staged = {"ds": day(1), "space_id": space, "run_id": looked.details["staged_run_id"]}
    rows = {row["request_id"]: row.asDict() for row in world.context().tables.read_where(names.RANKING_FEATURES_STAGED, staged).collect()}
    assert {key: row["interest_embedding"] for key, row in rows.items()} == {key: row["interest_embedding"] for key, row in before.items()}
    assert world.features(1) == before
    assert world.context().ledger.state(names.RANKING_FEATURES_JOB, day(1), space).run_id != looked.run_id
    assert run(names.RANKING_FEATURES_JOB, *where, "--known-at", "2020-01-01") == names.EXIT_INPUT_MISSING


def test_versions_stay_readable_as_long_as_upkeep_says(world: World) -> None:
    def kept(table: str) -> str:
        properties = DeltaTable.forPath(world.spark, f"{world.root}/warehouse/{table}").detail().collect()[0]["properties"]
        return str(properties["delta.deletedFileRetentionDuration"])

    assert kept(names.INTEREST_EMBEDDINGS) == f"interval {KEPT_DAYS[names.INTEREST_EMBEDDINGS]} days"
    with pytest.raises(VersionGoneError, match="VERSION_GONE"):
        world.context().tables.read(names.INTEREST_EMBEDDINGS, version=10_000)


def test_a_job_without_an_encoder_works_in_every_active_space(world: World) -> None:
    heir = world.add_encoder(tiny_encoder(world.root / "encoders", "heir", seed=2))
    where = ["--root", str(world.root), "--ds", day(2).isoformat()]
    for job in (names.ITEM_EMBEDDINGS_JOB, names.INTEREST_EMBEDDINGS_JOB, names.VALIDATE_JOB):
        assert run(job, *where) == names.EXIT_DONE
    assert run(names.PUBLISH_JOB, *where, "--publication", "simulated") == names.EXIT_DONE
    assert world.snapshot(2).keys() == world.snapshot(2, heir.space_id).keys() != set()
