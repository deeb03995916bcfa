"""Bulk loads: one read, one commit, a ledger row a day."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from jobs import ingest_events
from jobs.bulk_load import bulk_exit_code, bulk_load
from jobs.digests import frame_digest
from jobs.ingest import IngestOptions
from jobs.landing_images import read_images
from jobs.mapping import Mapping
from jobs.tables import Tables
from schemas import names
from schemas.contracts import CONTRACTS
from tests.ingest.warehouse import DAY, Warehouse

FIRST = date(2026, 1, 5)
BULK = IngestOptions(bulk=True)


def event(day: int, user: str = "u1", **facts: Any) -> dict[str, Any]:
    time = datetime(2026, 1, 5, 8, tzinfo=UTC) + timedelta(days=day)
    return {"user_id": user, "event_time": time, "event_type": "click", "item_id": "i1", **facts}


def test_every_row_arrives_on_its_own_day(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [event(0), event(0, "u2"), event(3), event(3), event(3, event_type="hover")], ds=None)
    rows = bulk_load(warehouse.context, names.EVENTS, BULK)
    assert [(row.ds, row.status, row.counts["accepted"], row.counts["quarantined"]) for row in rows] == [
        (FIRST, names.DONE, 2, 0),
        (FIRST + timedelta(days=1), names.DONE, 0, 0),
        (FIRST + timedelta(days=2), names.DONE, 0, 0),
        (FIRST + timedelta(days=3), names.DONE, 2, 1),
    ]
    assert sorted(row["ds"] for row in warehouse.rows(names.EVENTS)) == [FIRST] * 2 + [FIRST + timedelta(days=3)] * 2
    assert warehouse.version(names.EVENTS) == 0
    (refused,) = warehouse.rows(names.QUARANTINE)
    assert (refused["reason"], refused["ds"]) == ("unknown_event_type", FIRST + timedelta(days=3))


def test_each_day_has_the_digest_of_its_own_rows(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [event(0), event(2), event(2, "u2")], ds=None)
    digests = {row.ds: row.output_digest for row in bulk_load(warehouse.context, names.EVENTS, BULK)}
    events = warehouse.context.tables.read(names.EVENTS)
    for ds, digest in digests.items():
        assert digest == frame_digest(events.where(f"ds = DATE'{ds}'"), CONTRACTS[names.EVENTS].names)[1]
    assert len(set(digests.values())) == 3


def test_a_rerun_is_one_unchanged_row(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [event(0), event(2)], ds=None)
    done = bulk_load(warehouse.context, names.EVENTS, BULK)
    version = warehouse.version(names.EVENTS)
    rows = bulk_load(warehouse.context, names.EVENTS, BULK)
    assert [(row.ds, row.status, row.output_digest) for row in rows] == [(done[-1].ds, names.UNCHANGED, done[-1].output_digest)]
    assert warehouse.version(names.EVENTS) == version
    assert len(bulk_load(replace(warehouse.context, recompute=True), names.EVENTS, BULK)) == len(done)


def test_a_shrunken_load_withdraws_its_days_and_spares_the_others(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [event(0), event(2), event(4)], ds=None)
    bulk_load(warehouse.context, names.EVENTS, BULK)
    warehouse.land(names.EVENTS, [event(64)], ds=DAY)
    warehouse.ingest(names.EVENTS, DAY)
    warehouse.land(names.EVENTS, [event(2)], ds=None)
    rows = bulk_load(warehouse.context, names.EVENTS, BULK)
    assert {(row.ds, row.counts["written"]) for row in rows} == {(FIRST + timedelta(days=n), int(n == 2)) for n in range(5)}
    assert {row["ds"] for row in warehouse.rows(names.EVENTS)} == {FIRST + timedelta(days=2), DAY}


def test_a_load_does_not_replace_days_that_landed_by_themselves(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [event(64)], ds=DAY)
    warehouse.ingest(names.EVENTS, DAY)
    warehouse.land(names.EVENTS, [event(0), event(64, "u2")], ds=None)
    (refused,) = bulk_load(warehouse.context, names.EVENTS, BULK)
    assert bulk_exit_code([refused]) == names.EXIT_USAGE
    assert "LANDED_DAYS" in str(refused.reason)
    assert [row["user_id"] for row in warehouse.rows(names.EVENTS)] == [event(64)["user_id"]]
    assert warehouse.ingest(names.EVENTS, DAY).status == names.UNCHANGED
    bulk_load(replace(warehouse.context, recompute=True), names.EVENTS, BULK)
    assert sorted(row["user_id"] for row in warehouse.rows(names.EVENTS)) == sorted([event(0)["user_id"], "u2"])


def test_a_load_that_broke_leaves_no_day_open_after_the_next(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError("no space left on device")

    warehouse.land(names.EVENTS, [event(0), event(2)], ds=None)
    bulk_load(warehouse.context, names.EVENTS, BULK)
    warehouse.land(names.EVENTS, [event(0), event(2), event(2, "u2")], ds=None)
    monkeypatch.setattr(Tables, "replace_where", broken)
    with pytest.raises(OSError, match="no space left"):
        bulk_load(warehouse.context, names.EVENTS, BULK)
    monkeypatch.undo()
    last = FIRST + timedelta(days=2)
    assert warehouse.context.ledger.states(names.INGEST_EVENTS_JOB)[last].status == names.FAILED
    warehouse.land(names.EVENTS, [event(0), event(2)], ds=None)  # the files of the first load again
    bulk_load(warehouse.context, names.EVENTS, BULK)
    assert all(row.settled for row in warehouse.context.ledger.states(names.INGEST_EVENTS_JOB).values())
    assert len(warehouse.rows(names.EVENTS)) == 2


def test_declared_days_bound_the_load(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [event(-1), event(0), event(2), event(5), event(1, event_time=None)], ds=None, format="json")
    options = IngestOptions(bulk=True, first=FIRST, last=FIRST + timedelta(days=4))
    rows = bulk_load(warehouse.context, names.EVENTS, options)
    assert [row.ds for row in rows] == [FIRST + timedelta(days=n) for n in range(5)]
    reasons = {(row["reason"], row["ds"]) for row in warehouse.rows(names.QUARANTINE)}
    assert reasons == {("out_of_range", FIRST), ("missing:event_time", FIRST)}
    assert sum(row.counts["read"] for row in rows) == 5
    assert sum(row.counts["accepted"] for row in rows) == 2
    assert sum(row.counts["quarantined"] for row in rows) == 3


def test_items_arrive_together_and_hold_from_ever(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [event(0), event(2)], ds=None)
    items = [{"item_id": "i1", "title": "Jug", "image": b"jpg"}, {"item_id": "i2", "title": "Cup", "image": None}]
    warehouse.land(names.ITEMS, items, ds=None)
    bulk_load(warehouse.context, names.EVENTS, BULK)
    (row,) = bulk_load(warehouse.context, names.ITEMS, BULK)
    newest = FIRST + timedelta(days=2)
    assert (row.ds, row.counts["written"]) == (newest, 2)
    assert {(found["ds"], found["valid_from"].year) for found in warehouse.rows(names.ITEMS)} == {(newest, 1970)}
    assert [bytes(found["image"]) for found in read_images(warehouse.context, newest).collect()] == [b"jpg"]
    (again,) = bulk_load(warehouse.context, names.ITEMS, BULK)
    assert (again.ds, again.status) == (newest, names.UNCHANGED)


def test_items_need_a_day(warehouse: Warehouse) -> None:
    warehouse.land(names.ITEMS, [{"item_id": "i1", "title": "Jug"}], ds=None)
    (failed,) = bulk_load(warehouse.context, names.ITEMS, BULK)
    assert failed.status == names.FAILED
    assert "[NO_BULK_DAY]" in str(failed.reason)
    (row,) = bulk_load(warehouse.context, names.ITEMS, IngestOptions(bulk=True, bulk_ds=FIRST))
    assert (row.ds, row.status) == (FIRST, names.DONE)


def test_the_main_loads_a_named_file(warehouse: Warehouse) -> None:
    file = warehouse.root / "events.csv"
    file.write_text("user_id,event_time,event_type,item_id\nu1,2026-01-05,click,i1\nu1,2026-01-06T00:00:00+01:00,click,i2\n")
    assert ingest_events.main(["--root", str(warehouse.root), "--bulk", "--source", str(file)]) == names.EXIT_DONE
    assert [row["ds"] for row in warehouse.rows(names.EVENTS)] == [FIRST, FIRST]


def test_a_bulk_folder_without_marker_is_missing(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [event(0)], ds=None, marker=False)
    flags = ["--root", str(warehouse.root), "--bulk"]
    assert ingest_events.main(flags) == names.EXIT_INPUT_MISSING
    assert ingest_events.main([*flags, "--source", str(warehouse.root / "none.csv")]) == names.EXIT_INPUT_MISSING


def test_a_source_without_times_is_read_in_its_order(warehouse: Warehouse) -> None:
    rows = [{"user_id": "u1", "item_id": f"i{n}", "event_type": "click"} for n in range(3)]
    warehouse.land(names.EVENTS, rows, ds=None)
    by_order = Mapping.model_validate({"events": {"event_time": {"time": "order", "step_seconds": 86_400}}})
    bulk_load(warehouse.context, names.EVENTS, replace(BULK, mapping=by_order))
    assert sorted((str(row["ds"]), row["item_id"]) for row in warehouse.rows(names.EVENTS)) == [
        ("2000-01-01", "i0"), ("2000-01-02", "i1"), ("2000-01-03", "i2"),
    ]  # fmt: skip
