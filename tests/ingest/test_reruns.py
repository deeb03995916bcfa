"""P3 and P6 at the door: reruns, replaced partitions, empty days, missing markers."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs import ingest_events, ingest_impressions, ingest_items
from schemas import names
from tests.ingest.warehouse import DAY, Warehouse

NEXT = DAY + timedelta(days=1)


def event(user: str, ds: Any = DAY, **facts: Any) -> dict[str, Any]:
    time = datetime(ds.year, ds.month, ds.day, 8, tzinfo=UTC)
    return {"user_id": user, "event_time": time, "event_type": "click", "item_id": "i1", **facts}


def test_a_rerun_of_the_same_bytes_is_unchanged(warehouse: Warehouse) -> None:
    folder = warehouse.land(names.EVENTS, [event("u1"), event("u1"), event("u2", event_type="hover")])
    first = warehouse.ingest(names.EVENTS)
    before = (warehouse.version(names.EVENTS), warehouse.version(names.QUARANTINE))
    os.utime(folder / "part-0.parquet", (0, 0))
    second = warehouse.ingest(names.EVENTS)
    assert (first.status, second.status) == (names.DONE, names.UNCHANGED)
    assert (second.output_digest, dict(second.counts)) == (first.output_digest, dict(first.counts))
    assert (warehouse.version(names.EVENTS), warehouse.version(names.QUARANTINE)) == before


def test_the_same_rows_in_other_files_give_the_same_table(warehouse: Warehouse) -> None:
    """Identical rows too: their ids do not depend on the files that they lie in."""
    folder = warehouse.land(names.EVENTS, [event("u1"), event("u2"), event("u1")])
    first, rows = warehouse.ingest(names.EVENTS), warehouse.rows(names.EVENTS)
    (folder / "part-0.parquet").unlink()
    warehouse.land(names.EVENTS, [event("u1")], format="json", name="x")
    warehouse.land(names.EVENTS, [event("u1"), event("u2")], format="json", name="y")
    second = warehouse.ingest(names.EVENTS)
    assert second.status == names.DONE
    assert second.input_digest != first.input_digest
    assert second.output_digest == first.output_digest
    assert warehouse.rows(names.EVENTS) == rows


def test_a_replaced_partition_leaves_its_neighbours(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [event("u1"), event("bad", event_type="hover")])
    warehouse.land(names.EVENTS, [event("u2", NEXT), event("bad", NEXT, event_type="hover")], ds=NEXT)
    warehouse.ingest(names.EVENTS)
    warehouse.ingest(names.EVENTS, NEXT)
    neighbour = [row for row in warehouse.rows(names.EVENTS) if row["ds"] == NEXT]
    warehouse.land(names.EVENTS, [event("u3")])
    row = warehouse.ingest(names.EVENTS)
    assert (row.status, row.counts["quarantined"]) == (names.DONE, 0)
    assert {(found["ds"], found["user_id"]) for found in warehouse.rows(names.EVENTS)} == {(DAY, "u3"), (NEXT, "u2")}
    assert [found for found in warehouse.rows(names.EVENTS) if found["ds"] == NEXT] == neighbour
    assert {found["ds"] for found in warehouse.rows(names.QUARANTINE)} == {NEXT}


def test_another_lateness_makes_the_day_stale(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [event("u1", DAY - timedelta(days=9))])
    assert warehouse.ingest(names.EVENTS).counts["quarantined_too_late"] == 1
    assert warehouse.ingest(names.EVENTS, max_lateness_days=9).counts["accepted"] == 1
    assert warehouse.rows(names.QUARANTINE) == []


@pytest.mark.parametrize("main", [ingest_events.main, ingest_items.main, ingest_impressions.main])
def test_the_mains_exit_4_where_input_is_missing(warehouse: Warehouse, main: Any) -> None:
    assert main(["--root", str(warehouse.root), "--ds", str(DAY)]) == names.EXIT_INPUT_MISSING


def test_the_main_ingests_a_range_of_days(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [event("u1")])
    warehouse.land(names.EVENTS, [event("u2", NEXT)], ds=NEXT)
    flags = ["--root", str(warehouse.root), "--ds-from", str(DAY), "--ds-to", str(NEXT), "--run-at", "2026-03-12T02:00:00Z"]
    assert ingest_events.main(flags) == names.EXIT_DONE
    assert {(row["ds"], row["user_id"]) for row in warehouse.rows(names.EVENTS)} == {(DAY, "u1"), (NEXT, "u2")}


@pytest.mark.parametrize("flags", ["", "--ds 2026-03-10 --bulk", "--ds 2026-03-10 --mapping none.toml"])
def test_the_main_exits_2_where_the_flags_cannot_be_meant(warehouse: Warehouse, flags: str) -> None:
    assert ingest_events.main(["--root", str(warehouse.root), *flags.split()]) == names.EXIT_USAGE
