"""One test for every row of the scenario table of the design: what must hold when days go wrong."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from delta.tables import DeltaTable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import interest_embeddings
from jobs.day import DAY, DayOptions, run_day
from jobs.encoders import active_encoders
from jobs.ledger import Ledger, LedgerRow
from jobs.publish import Publication, publish_stage
from jobs.ranking_features import JoinPolicy
from jobs.stage import exit_code, run_stage
from schemas import names
from schemas.contracts import CONTRACTS
from tests.promises.world import USERS, World, assert_same_snapshot, base_events, click, day, moment, shown, titled
from tests.tiny import tiny_encoder


def rows_of(world: World, offset: int) -> dict[str, dict[str, Any]]:
    """A snapshot with its vectors as lists, clocks included: equal means untouched."""
    return {user: {**row, "embedding": row["embedding"].tolist()} for user, row in world.snapshot(offset).items()}


@pytest.fixture
def corrupted(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every vector encoded from here on has length 2; ``undo()`` mends it."""
    honest = interest_embeddings._encoded

    def doubled(*args: Any) -> DataFrame:
        return honest(*args).withColumn("embedding", F.transform("embedding", lambda x: (x * 2).cast("float")))

    monkeypatch.setattr(interest_embeddings, "_encoded", doubled)
    return monkeypatch


def test_a_late_event_enters_the_day_it_arrives(world: World) -> None:
    before = [rows_of(world, offset) for offset in (0, 1, 2)]
    late = click("late", "u00", "i11", moment(0, hour=0.5))
    world.land(names.EVENTS, 3, [*base_events(3), late])
    world.run(3)
    assert [rows_of(world, offset) for offset in (0, 1, 2)] == before
    history = world.context().tables.read_where(names.USER_HISTORIES, {"ds": day(3)}).where("user_id = 'u00'").collect()[0]
    assert history["event_ids"][0] == "late"  # oldest by its own time
    assert history["event_times"] == sorted(history["event_times"])
    assert world.snapshot(3)["u00"]["history_len"] == world.snapshot(2)["u00"]["history_len"] + 1


def test_a_rerun_after_the_next_day_changes_nothing(world: World) -> None:
    tables = world.context().tables
    written = [table for table in CONTRACTS if table != names.RUN_LEDGER and tables.exists(table)]
    before = {table: tables.version(table) for table in written}
    rows = world.run(1, join=True)
    assert len(rows) == len(DAY)
    assert world.statuses(rows) == {names.UNCHANGED}
    assert {table: tables.version(table) for table in written} == before


def test_a_day_mended_late_does_not_displace_a_newer_one(world: World, corrupted: pytest.MonkeyPatch) -> None:
    assert world.run(3)[names.VALIDATE_JOB].status == names.BLOCKED
    corrupted.undo()
    world.land_day(4, events=base_events(4))
    world.land_day(5, events=base_events(5), impressions=[shown("q", "u00", "i00", moment(5, hour=6))])
    world.run(4)
    world.run(5, join=True)
    before = world.features(5)["q"]
    assert before["vector_ds"] == day(4)
    world.run(3)
    assert world.snapshot(3)
    world.run(5, join=True, recompute=True)
    assert world.features(5)["q"] == before


def test_a_hole_filled_after_the_next_day_equals_processing_in_order(world: World, tmp_path: Path, spark: Any) -> None:
    world.land_day(4, events=base_events(4))
    shutil.copytree(world.root, tmp_path / "in_order")
    in_order = World(spark, tmp_path / "in_order")
    in_order.run(3, 4)
    world.run(4, 3, 4)  # the hole makes day 4 stale, so its second run is a new one
    for offset in (3, 4):
        assert_same_snapshot(world.snapshot(offset), in_order.snapshot(offset))


def test_an_item_renamed_and_renamed_back(world: World) -> None:
    before = world.snapshot(1)
    item = "i00"
    world.land_day(3, items=[titled(item, "purple lamp", moment(3, hour=1))])
    world.land_day(4, items=[titled(item, "red lamp", moment(4, hour=1))])
    world.run(3, 4)
    world.run(1, recompute=True)
    assert {user: row["fingerprint"] for user, row in world.snapshot(1).items()} == {
        user: row["fingerprint"] for user, row in before.items()
    }
    histories = world.context().tables.read_where(names.USER_HISTORIES, {"ds": day(3)}).collect()
    touched = {row["user_id"] for row in histories if item in row["item_ids"][-6:]}
    assert 0 < len(touched) < len(USERS)
    for offset in (3, 4):
        encoded = {user for user, row in world.snapshot(offset).items() if row["encoded_ds"] == day(offset)}
        assert encoded == touched
    day_3, day_4 = world.snapshot(3), world.snapshot(4)
    assert all(day_3[user]["fingerprint"] != day_4[user]["fingerprint"] for user in touched)


def test_an_encoder_trained_until_after_the_impression(world: World) -> None:
    seer = world.add_encoder(tiny_encoder(world.root / "encoders", "seer", seed=1, trained_until=moment(3, hour=20).isoformat()))
    world.run(2, encoders=[seer])
    world.run(3, encoders=[seer], join=True)
    rows = world.features(3, seer.space_id)
    assert len(rows) == len(USERS)
    assert {(row["missing_reason"], row["interest_embedding"] is None) for row in rows.values()} == {(names.TRAINED_AFTER, True)}
    world.options = DayOptions(publication=Publication(mode="simulated"), join=JoinPolicy(allow_trained_after=True))
    world.run(3, encoders=[seer], join=True)
    rows = world.features(3, seer.space_id)
    assert {(row["missing_reason"], row["interest_embedding"] is None) for row in rows.values()} == {(names.TRAINED_AFTER, False)}


def test_an_event_older_than_the_retention_still_has_its_vector(world: World) -> None:
    old = moment(-200, hour=6)
    world.land_day(-200, events=[click("ancient", "veteran", "i00", old)])
    world.run(-200)
    DeltaTable.forPath(world.spark, f"{world.root}/warehouse/events").delete(F.col("ds") < F.lit(day(-90)))
    at = moment(4, hour=6)
    world.land_day(4, impressions=[shown("q", "veteran", "i00", at)])
    world.run(3)
    world.run(4, join=True)
    assert world.snapshot(3)["veteran"]["last_event_time"] == old.replace(tzinfo=None)
    row = world.features(4)["q"]
    assert row["missing_reason"] is None
    assert row["last_event_age"] == (at - old).total_seconds()


def test_a_withdrawn_event_takes_its_user_away(world: World) -> None:
    world.land(names.EVENTS, 3, [*base_events(3), click("only", "solo", "i00", moment(3, hour=2))])
    world.run(3)
    assert "solo" in world.snapshot(3)
    world.land(names.EVENTS, 3, base_events(3))
    world.land_day(4, impressions=[shown("q", "solo", "i00", moment(4, hour=6))])
    world.run(3)
    world.run(4, join=True)
    assert "solo" not in world.snapshot(3)
    assert (world.features(4)["q"]["missing_reason"], world.features(4)["q"]["vector_ds"]) == (names.NO_HISTORY, day(3))


@pytest.mark.usefixtures("corrupted")
def test_a_corrupted_day_is_blocked_and_says_why(world: World) -> None:
    rows = world.run(3)
    verdict = rows[names.VALIDATE_JOB]
    assert exit_code(verdict) == names.EXIT_GATE_BLOCKED == 3
    assert "unit_norm" in (verdict.reason or "")
    assert rows[names.PUBLISH_JOB].status == names.MISSING_INPUT
    assert world.snapshot(3) == {}
    assert (world.root / "data_docs" / "index.html").is_file()


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the project runs."""


def test_killed_after_each_write_and_before_the_ledger(world: World, tmp_path: Path, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    world.land(names.ITEMS, 3, [titled("new", "silver spoon", moment(3, hour=1))])
    shutil.copytree(world.root, tmp_path / "undisturbed")
    undisturbed = World(spark, tmp_path / "undisturbed")
    undisturbed.run(3)
    append = Ledger.append
    for job in (names.ITEM_EMBEDDINGS_JOB, names.INTEREST_EMBEDDINGS_JOB, names.PUBLISH_JOB):

        def killed(self: Ledger, *rows: LedgerRow, at: str = job) -> None:
            if any(row.job == at and row.status == names.DONE for row in rows):
                raise Killed
            append(self, *rows)

        monkeypatch.setattr(Ledger, "append", killed)
        with pytest.raises(Killed):
            world.run(3)
        monkeypatch.undo()
    world.run(3)
    assert_same_snapshot(world.snapshot(3), undisturbed.snapshot(3))
    contents = [
        [row["content_hash"] for row in each.context().tables.read(names.ITEM_EMBEDDINGS).collect()] for each in (world, undisturbed)
    ]
    assert sorted(contents[0]) == sorted(contents[1])
    assert len(set(contents[0])) == len(contents[0])


def test_an_ingest_killed_after_its_write_and_then_mended_leaves_nothing_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [step for step in DAY if step.job in (names.INGEST_EVENTS_JOB, names.USER_HISTORIES_JOB)]

    def run(offset: int, *, recompute: bool = False) -> set[str]:
        run_day(world.context(recompute=recompute), world.options, day(offset), [], steps)
        histories = world.context().tables.read_where(names.USER_HISTORIES, {"ds": day(offset)})
        return {row["user_id"] for row in histories.select("user_id").collect()}

    world.land(names.EVENTS, 4, base_events(4))
    before = run(3)
    world.land(names.EVENTS, 3, [*base_events(3), click("evil", "intruder", "i00", moment(3, hour=2))])
    append = Ledger.append

    def killed(self: Ledger, *rows: LedgerRow) -> None:
        if any(row.status == names.DONE for row in rows):
            raise Killed
        append(self, *rows)

    monkeypatch.setattr(Ledger, "append", killed)
    with pytest.raises(Killed):
        run(3)
    monkeypatch.undo()
    assert "intruder" in run(4, recompute=True)  # the write stands, though its day is open
    world.land(names.EVENTS, 3, base_events(3))
    assert run(3) == before
    assert "intruder" not in run(4)


def test_the_old_space_goes_on_when_the_champion_changes(world: World) -> None:
    heir = world.add_encoder(tiny_encoder(world.root / "encoders", "heir", seed=2))
    DeltaTable.forPath(world.spark, f"{world.root}/warehouse/{names.ENCODER_VERSIONS}").update(
        set={"alias": F.when(F.col("version") == "heir", F.lit(names.CHAMPION))}
    )
    both = active_encoders(world.context())
    assert [encoder.version for encoder in both] == ["heir", "tiny"]
    world.run(2, encoders=[heir])
    world.run(3, encoders=both, join=True)
    for encoder in both:
        rows = world.features(3, encoder.space_id)
        interests = world.snapshot(2, encoder.space_id)
        items = world.context().tables.read_where(names.ITEM_EMBEDDINGS, {"space_id": encoder.space_id})
        shown_hash = world.context().tables.read(names.ITEMS).where("item_id = 'i00'").collect()[0]["content_hash"]
        candidate = np.array(items.where(F.col("content_hash") == shown_hash).collect()[0]["embedding"])
        assert len(rows) == len(USERS)
        for row in rows.values():
            assert row["candidate_cosine"] == pytest.approx(float(interests[row["user_id"]]["embedding"] @ candidate), abs=1e-5)


def test_a_simulated_publication_does_not_replace_a_live_one(world: World) -> None:
    simulated = world.options
    world.options = DayOptions(publication=Publication(mode="live"))
    run_at = datetime(2026, 3, 5, 3, tzinfo=UTC)
    world.run(3, run_at=run_at)
    live = world.snapshot(3)["u00"]
    assert live["publication"] == names.LIVE
    assert run_at <= live["available_at"].replace(tzinfo=UTC) < run_at + timedelta(hours=1)
    world.options = simulated
    world.land(names.EVENTS, 3, [*base_events(3), click("more", "u00", "i11", moment(3, hour=20))])
    assert world.run(3)[names.PUBLISH_JOB].status == names.FAILED
    assert world.snapshot(3)["u00"]["publication"] == names.LIVE
    assert world.run(3, recompute=True)[names.PUBLISH_JOB].status == names.DONE
    mended = world.snapshot(3)["u00"]
    assert (mended["publication"], mended["available_at"]) == (
        names.SIMULATED,
        (moment(4, hour=0) + timedelta(hours=2)).replace(tzinfo=None),
    )


def test_an_older_attempt_does_not_publish_over_a_newer_one(world: World) -> None:
    world.run(3)
    before = rows_of(world, 3)
    context = world.context(recompute=True)
    staging = context.ledger.state(names.INTEREST_EMBEDDINGS_JOB, day(3), world.encoder.space_id)
    newer = replace(staging, run_id="newer", attempt=staging.attempt + 1, status=names.STARTED)
    context.ledger.append(newer)
    assert run_stage(context, publish_stage(world.encoder, Publication(mode="simulated")), day(3)).status == names.SUPERSEDED
    assert rows_of(world, 3) == before


def test_a_replacement_that_a_later_one_overtook_writes_nothing(world: World) -> None:
    tables, where = world.context().tables, {"ds": day(2), "space_id": world.encoder.space_id}
    rows = tables.read_where(names.INTEREST_EMBEDDINGS, where)
    assert tables.replace(rows.limit(5), names.INTEREST_EMBEDDINGS, where, once=("test", 2)) is not None
    assert tables.replace(rows.limit(1), names.INTEREST_EMBEDDINGS, where, once=("test", 1)) is None
    assert len(world.snapshot(2)) == 5


def test_a_live_publication_of_a_day_that_has_not_ended_is_refused(world: World) -> None:
    world.options = DayOptions(publication=Publication(mode="live"))
    rows = world.run(3, run_at=moment(3, hour=23))
    assert rows[names.PUBLISH_JOB].status == names.FAILED
    assert "DAY_NOT_OVER" in (rows[names.PUBLISH_JOB].reason or "")
    assert world.snapshot(3) == {}
