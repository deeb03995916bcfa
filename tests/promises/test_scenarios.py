"""Rows of the scenario table of the design that need a world of their own; those that one week can show are in test_week.py."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs import interest_embeddings
from jobs.day import DAY, DayOptions, run_day
from jobs.errors import SupersededError
from jobs.ledger import Ledger, LedgerRow
from jobs.publish import Publication, publish_stage
from jobs.ranking_features import JoinPolicy, ranking_features_stage
from jobs.stage import exit_code, run_stage
from schemas import names
from schemas.contracts import CONTRACTS
from tests.promises.week import JOINING
from tests.promises.world import World, assert_same_snapshot, base_events, click, copy_of, day, moment, rows_of, shown, titled

LANDED_ON_DAY_3 = titled("new", "silver spoon", moment(3, hour=1))


@pytest.fixture(scope="module")
def in_order(_base: Path, _spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Days 3 and 4 run one after the other, undisturbed: what a disturbed run of the same files must come to."""
    world = copy_of(_base, _spark_session, tmp_path_factory.mktemp("in_order"))
    world.land(names.ITEMS, 3, [LANDED_ON_DAY_3])
    world.land_day(4, events=base_events(4))
    world.run(3, 4)
    return world


@pytest.fixture
def corrupted(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every vector encoded from here on has length 2; ``undo()`` mends it."""
    honest = interest_embeddings._encoded

    def doubled(*args: Any) -> DataFrame:
        return honest(*args).withColumn("embedding", F.transform("embedding", lambda x: (x * 2).cast("float")))

    monkeypatch.setattr(interest_embeddings, "_encoded", doubled)
    return monkeypatch


def test_a_rerun_after_the_next_day_changes_nothing(world: World) -> None:
    tables = world.context().tables
    written = [table for table in CONTRACTS if table != names.RUN_LEDGER and tables.exists(table)]
    before = {table: tables.version(table) for table in written}
    rows = world.run(1, join=True)
    assert len(rows) == len(DAY)
    assert world.statuses(rows) == {names.UNCHANGED}
    assert {table: tables.version(table) for table in written} == before


def test_a_corrupted_day_is_blocked_and_mended_late(world: World, in_order: World, corrupted: pytest.MonkeyPatch) -> None:
    """It says why, does not displace the day after it, and leaves what processing in order leaves."""
    world.land(names.ITEMS, 3, [LANDED_ON_DAY_3])
    rows = world.run(3)
    verdict = rows[names.VALIDATE_JOB]
    assert exit_code(verdict) == names.EXIT_GATE_BLOCKED == 3
    assert "unit_norm" in (verdict.reason or "")
    assert rows[names.PUBLISH_JOB].status == names.MISSING_INPUT
    assert world.snapshot(3) == {}
    assert (world.root / "data_docs" / "index.html").is_file()

    corrupted.undo()
    world.land_day(4, events=base_events(4))
    world.land_day(5, impressions=[shown("q", "u00", "i00", moment(5, hour=6))])

    def joined(*, recompute: bool = False) -> dict[str, Any]:
        steps = JOINING[-1:] if recompute else JOINING
        run_day(world.context(recompute=recompute), world.options, day(5), [world.encoder], steps)
        return world.features(5)["q"]

    world.run(4)
    before = joined()
    assert before["vector_ds"] == day(4)
    world.run(3)
    assert joined(recompute=True) == before
    for offset in (3, 4):
        assert_same_snapshot(world.snapshot(offset), in_order.snapshot(offset))


def test_a_hole_filled_after_the_next_day_equals_processing_in_order(world: World, in_order: World) -> None:
    """Day 3 had not even been read when day 4 was processed."""
    world.land(names.ITEMS, 3, [LANDED_ON_DAY_3])
    world.land_day(4, events=base_events(4))
    world.run(4, 3, 4)  # the hole makes day 4 stale, so its second run is a new one
    for offset in (3, 4):
        assert_same_snapshot(world.snapshot(offset), in_order.snapshot(offset))


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the project runs."""


def test_killed_after_each_write_and_before_the_ledger(world: World, in_order: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.land(names.ITEMS, 3, [LANDED_ON_DAY_3])
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
    assert_same_snapshot(world.snapshot(3), in_order.snapshot(3))
    contents = [[row["content_hash"] for row in each.context().tables.read(names.ITEM_EMBEDDINGS).collect()] for each in (world, in_order)]
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


def test_a_day_is_live_when_it_has_ended_and_stays_live(world: World) -> None:
    simulated = world.options
    world.options = DayOptions(publication=Publication(mode="live"))
    early = world.run(3, run_at=moment(3, hour=23))[names.PUBLISH_JOB]
    assert early.status == names.FAILED
    assert "DAY_NOT_OVER" in (early.reason or "")
    assert world.snapshot(3) == {}
    run_at = datetime(2026, 3, 5, 3, tzinfo=UTC)
    world.run(3, run_at=run_at)
    live = world.snapshot(3)["u00"]
    assert live["publication"] == names.LIVE
    assert run_at <= live["available_at"].replace(tzinfo=UTC) < run_at + timedelta(hours=1)
    world.options = simulated
    world.land(names.EVENTS, 3, [*base_events(3), click("more", "u00", "i11", moment(3, hour=20))])
    assert world.run(3)[names.PUBLISH_JOB].status == names.FAILED
    assert world.snapshot(3)["u00"]["publication"] == names.LIVE
    publishing = [step for step in DAY if step.job == names.PUBLISH_JOB]
    (told,) = run_day(world.context(recompute=True), simulated, day(3), [world.encoder], publishing)
    assert told.status == names.DONE
    mended = world.snapshot(3)["u00"]
    assert (mended["publication"], mended["available_at"]) == (
        names.SIMULATED,
        (moment(4, hour=0) + timedelta(hours=2)).replace(tzinfo=None),
    )


def test_an_older_attempt_does_not_publish_over_a_newer_one(world: World) -> None:
    before = rows_of(world, 2)
    context = world.context(recompute=True)
    staging = context.ledger.state(names.INTEREST_EMBEDDINGS_JOB, day(2), world.encoder.space_id)
    newer = replace(staging, run_id="newer", attempt=staging.attempt + 1, status=names.STARTED)
    context.ledger.append(newer)
    assert run_stage(context, publish_stage(world.encoder, Publication(mode="simulated")), day(2)).status == names.SUPERSEDED
    assert rows_of(world, 2) == before


def test_an_older_attempt_at_a_join_does_not_replace_a_newer_one_s_rows(world: World) -> None:
    context, where = world.context(recompute=True), {"ds": day(1), "space_id": world.encoder.space_id}
    join = ranking_features_stage(world.encoder, JoinPolicy())
    tables = context.tables
    few = tables.read_where(names.RANKING_FEATURES, where).limit(5)
    assert tables.replace(few, names.RANKING_FEATURES, where) > 0  # so that there is something to write
    join.run(context, day(1), 9)
    assert len(world.features(1)) > 5
    assert tables.replace(few, names.RANKING_FEATURES, where) > 0
    with pytest.raises(SupersededError):
        join.run(context, day(1), 8)
    assert len(world.features(1)) == 5


def test_a_replacement_that_a_later_one_overtook_writes_nothing(world: World) -> None:
    tables, where = world.context().tables, {"ds": day(2), "space_id": world.encoder.space_id}
    rows = tables.read_where(names.INTEREST_EMBEDDINGS, where)
    assert tables.replace(rows.limit(5), names.INTEREST_EMBEDDINGS, where, once=("test", 2)) is not None
    assert tables.replace(rows.limit(1), names.INTEREST_EMBEDDINGS, where, once=("test", 1)) is None
    assert len(world.snapshot(2)) == 5
