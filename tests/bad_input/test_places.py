"""Warehouses that are none, or that take no rows: a clear end, nothing half written, and a rerun that succeeds."""

from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs import ingest_events
from schemas import names
from tests.bad_input.disks import read_only, small_disk
from tests.bad_input.kinds import PLACES
from tests.bad_input.landings import EVENT
from tests.bad_input.outcomes import documented, ended
from tests.ingest.warehouse import DAY, Warehouse

NEXT = DAY.replace(day=11)
MANY = 10_000


def _ingest(warehouse: Warehouse, ds: object = DAY) -> int:
    return ingest_events.main(["--root", str(warehouse.root), "--ds", str(ds)])


def _assert_documented(kind: str, code: int, log: str, *says: str) -> None:
    assert ended(code, log) == PLACES[kind] == documented()[kind]
    for said in ("expected: ", "got: ", "Hint: ", *says):
        assert said in log


def test_a_file(warehouse: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    warehouse.land(names.EVENTS, [EVENT])
    (warehouse.root / "warehouse").write_text("x")
    _assert_documented("a warehouse that is a file", _ingest(warehouse), caplog.text, f"{warehouse.root}/warehouse", "got: a file")
    assert (warehouse.root / "warehouse").read_text() == "x"


def test_a_folder_of_something_else(warehouse: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    warehouse.land(names.EVENTS, [EVENT])
    photos = warehouse.root / "warehouse" / "photos"
    photos.mkdir(parents=True)
    kind = "a warehouse that is another folder"
    _assert_documented(kind, _ingest(warehouse), caplog.text, f"{warehouse.root}/warehouse", "got: photos")
    assert list((warehouse.root / "warehouse").iterdir()) == [photos]


@pytest.mark.parametrize("table", [names.EVENTS, names.RUN_LEDGER])
def test_a_table_of_another_schema(warehouse: Warehouse, table: str, caplog: pytest.LogCaptureFixture) -> None:
    warehouse.land(names.EVENTS, [EVENT])
    place = str(warehouse.root / "warehouse" / table)
    deltalake.write_deltalake(place, pa.table({"ds": ["2026-03-10"], "colour": ["red"]}))
    says = (f"table: {table}", "column: ", "ds date", "got: ds string, colour string", "--warehouse")
    _assert_documented("a table of another schema", _ingest(warehouse), caplog.text, *says)
    assert deltalake.DeltaTable(place).version() == 0
    if table == names.EVENTS:
        row = warehouse.context.ledger.state(names.INGEST_EVENTS_JOB, DAY)
        assert row is not None
        assert (row.status, "FOREIGN_TABLE" in str(row.reason)) == (names.FAILED, True)


def test_a_torn_log(warehouse: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    warehouse.land(names.EVENTS, [EVENT])
    assert _ingest(warehouse) == names.EXIT_DONE
    (log,) = (warehouse.root / "warehouse" / names.EVENTS / "_delta_log").glob("*.json")
    log.write_text("{")
    warehouse.land(names.EVENTS, [EVENT, EVENT])
    _assert_documented("a table with a torn log", _ingest(warehouse), caplog.text, "table: events")


def test_a_read_only_warehouse(warehouse: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    warehouse.land(names.EVENTS, [EVENT])
    warehouse.land(names.EVENTS, [{**EVENT, "event_time": EVENT["event_time"].replace(day=11)}], ds=NEXT)  # type: ignore[attr-defined]
    with read_only(warehouse.root / "warehouse", lambda: _assert_done(warehouse)) as opened:
        before = warehouse.version(names.EVENTS), warehouse.version(names.RUN_LEDGER)
        _assert_documented("a read-only warehouse", _ingest(warehouse, NEXT), caplog.text, "table: run_ledger", "write access to ")
        assert (warehouse.version(names.EVENTS), warehouse.version(names.RUN_LEDGER)) == before
        opened()
        assert _ingest(warehouse, NEXT) == names.EXIT_DONE
        assert len(warehouse.rows(names.EVENTS)) == 2


def _assert_done(warehouse: Warehouse) -> None:
    assert _ingest(warehouse) == names.EXIT_DONE


def test_a_full_disk(warehouse: Warehouse, caplog: pytest.LogCaptureFixture, spark: SparkSession) -> None:
    _land_many(warehouse, spark)
    with small_disk(warehouse.root / "warehouse", spark) as make_room:
        # A bound on file sizes meets the scratch folder first, which belongs to no table.
        where = "table: events" if (warehouse.root / "warehouse").is_mount() else "scratch folder"
        _assert_documented("a full disk", _ingest(warehouse), caplog.text, where, "room in ")
        assert not deltalake.DeltaTable.is_deltatable(str(warehouse.root / "warehouse" / names.EVENTS))
        make_room()
        caplog.clear()
        assert _ingest(warehouse) == names.EXIT_DONE
        final = warehouse.context.ledger.state(names.INGEST_EVENTS_JOB, DAY)
        assert final is not None
        assert (final.status, final.counts["read"], final.counts["accepted"]) == (names.DONE, MANY, MANY)
        assert warehouse.context.tables.read(names.EVENTS).count() == MANY
        assert {row.status for row in warehouse.context.ledger.rows(names.INGEST_EVENTS_JOB)} >= {names.STARTED, names.DONE}


def _land_many(warehouse: Warehouse, spark: SparkSession) -> None:
    """Events with ids that do not compress: some 700 kB."""
    ids = spark.range(MANY).selectExpr("sha2(cast(id as string), 256) AS event_id", "concat('u', id) AS user_id")
    rows = ids.selectExpr("*", "TIMESTAMP'2026-03-10 12:00:00' AS event_time", "'click' AS event_type", "'i1' AS item_id")
    folder = warehouse.land(names.EVENTS, [])
    rows.coalesce(1).write.mode("overwrite").parquet(str(folder))
    Path(folder / names.SUCCESS_MARKER).touch()
