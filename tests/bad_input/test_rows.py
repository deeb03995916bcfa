"""Every kind of bad row: its outcome in every table and format, and nothing lost."""

import json
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs import ingest_events
from jobs.ledger import LedgerRow
from karma.text import MAX_CHARACTERS, MISSING_TITLE, render_item
from schemas import names
from tests.bad_input.kinds import LINES
from tests.bad_input.outcomes import documented, quarantined
from tests.bad_input.rows import ACCEPTED, KINDS, NOON, Rows, event, landed
from tests.ingest.warehouse import DAY, Warehouse

FORMATS = ("parquet", "json", "csv")
# A line break inside a key needs quotes over two lines in CSV (tests/ingest/test_formats.py has those).
LOADS = [
    (table, format)
    for table in (names.EVENTS, names.ITEMS, names.IMPRESSIONS)
    for format in FORMATS
    if (table, format) != (names.ITEMS, "csv")
] + [(names.REQUESTS, "csv")]


@dataclass(frozen=True)
class Load:
    """What came of one load: its ledger row, and the rows of the table and of quarantine."""

    ledger: LedgerRow
    accepted: list[dict[str, Any]]
    refused: list[dict[str, Any]]


Loads = dict[tuple[str, str], Load]


@pytest.fixture(scope="module")
def loads(_spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Loads:
    """Every table's good and bad rows, ingested once a format."""
    done = {}
    for table, format in LOADS:
        warehouse = Warehouse(_spark_session, tmp_path_factory.mktemp(f"{table}-{format}"))
        warehouse.land(table, [row for _, row in landed(table)], format=format)
        row = warehouse.ingest(table)
        done[table, format] = Load(row, warehouse.rows(table), warehouse.rows(names.QUARANTINE))
    return done


@pytest.mark.parametrize(("table", "format"), LOADS)
def test_rows_read_are_accepted_or_quarantined(loads: Loads, table: str, format: str) -> None:
    load, reasons = loads[table, format], [reason for reason, _ in landed(table)]
    counts = load.ledger.counts
    assert load.ledger.status == names.DONE
    assert counts["read"] == len(reasons) == counts["accepted"] + counts["quarantined"]
    assert counts["accepted"] == reasons.count(ACCEPTED) == len(load.accepted)
    assert counts["quarantined"] == len(reasons) - reasons.count(ACCEPTED) == len(load.refused)


@pytest.mark.parametrize("kind", KINDS)
def test_its_outcome_is_the_documented_one(loads: Loads, kind: str) -> None:
    for group in KINDS[kind]:
        assert documented()[kind] == (ACCEPTED if group.reason == ACCEPTED else quarantined(group.reason))
        for table, format in LOADS:
            if table == group.table:
                _assert_judged(loads[table, format], group)


def _assert_judged(load: Load, group: Rows) -> None:
    expected = {number for number, (_, row) in enumerate(landed(group.table)) if any(row is one for one in group.rows)}
    found = [row for row in load.refused if row["row_number"] in expected]
    if group.reason == ACCEPTED:
        assert found == []
        return
    assert {row["row_number"] for row in found} == expected
    assert {row["reason"] for row in found} == {group.reason}
    assert {row["source_file"].split(".")[0] for row in found} == {"part-0"}
    assert {(row["job"], row["table"], row["ds"]) for row in found} == {(f"ingest-{group.table}", group.table, DAY)}
    assert load.ledger.counts[f"quarantined_{group.reason}"] >= len(expected)


@pytest.mark.parametrize("format", FORMATS)
def test_times_are_one_instant_however_they_are_written(loads: Loads, format: str) -> None:
    rows = {row["event_id"]: row["event_time"].replace(tzinfo=UTC) for row in loads[names.EVENTS, format].accepted}
    written = ("z-utc", "z-paris", "z-tokyo", "z-text", "z-micros", "z-seconds", "z-milliseconds")
    assert {rows[event_id] for event_id in written} == {NOON}


def test_identical_events_stay_two(loads: Loads) -> None:
    alike = [row["event_id"] for row in loads[names.EVENTS, "json"].accepted if row["item_id"] == "twice"]
    assert len(set(alike)) == 2


def test_titles_stay_as_they_landed_and_are_read_within_bounds(loads: Loads) -> None:
    titles = {row["item_id"]: row["title"] for row in loads[names.ITEMS, "parquet"].accepted}
    assert (len(titles["i3"]), titles["i2"], titles["i10"], titles["i9"]) == (1_000_000, None, None, "Red\x07 jug")
    assert len(render_item(titles["i3"], None)) == MAX_CHARACTERS
    assert render_item(titles["i2"], None) == MISSING_TITLE
    assert render_item(titles["i9"], None) == "red jug"


def test_an_image_that_is_not_there_is_counted(loads: Loads) -> None:
    load = loads[names.ITEMS, "parquet"]
    (named,) = (row for row in load.accepted if row["image_ref"])
    assert (load.ledger.counts["image_missing"], named["image_sha256"]) == (1, None)


def test_a_refused_row_keeps_what_landed(loads: Loads) -> None:
    rows = {(found["reason"], found["row_number"]): json.loads(found["row"]) for found in loads[names.EVENTS, "parquet"].refused}
    (unknown,) = (row for (reason, _), row in rows.items() if reason == "unknown_event_type")
    assert unknown["event_type"] == "hover"
    assert unknown["user_id"] == "u1"
    broken = [row for (reason, _), row in sorted(rows.items()) if reason == "not_utf8"]
    assert broken[0]["query:base64"] == "Y2Fm6Q=="  # base64 of caf\xe9
    assert "query" not in broken[0]
    assert broken[1]["user_id:base64"] == "//4="


def test_a_line_that_is_not_utf8_is_kept_as_bytes(loads: Loads) -> None:
    broken = [json.loads(found["row"]) for found in loads[names.EVENTS, "json"].refused if found["reason"] == "not_utf8"]
    assert len(broken) == 2
    assert all(set(row) == {"line:base64"} for row in broken)


JSON_LINES = ['{"user_id": "u1", "event_time": "2026-03-10", "event_type": "click", "item_id": "i1"}', "{broken", "[1]", "", '"x"']
CSV_LINES = [
    "user_id,event_time,event_type,item_id",
    "u1,2026-03-10,click,i1",
    "too,few",
    "u1,2026-03-10,click,i1,too many",
    'u1,2026-03-10,click,"an open quote',
]


@pytest.mark.parametrize(("name", "lines"), [("a.jsonl", JSON_LINES), ("a.csv", CSV_LINES)])
def test_lines_that_do_not_parse(warehouse: Warehouse, name: str, lines: list[str]) -> None:
    (warehouse.land(names.EVENTS, []) / name).write_text("\n".join(lines))
    row = warehouse.ingest(names.EVENTS)
    assert documented()["a broken line"] == LINES["a broken line"]
    assert (row.counts["read"], row.counts["accepted"], row.counts["quarantined_malformed_row"]) == (4, 1, 3)
    found = {entry["row_number"]: json.loads(entry["row"])["line"] for entry in warehouse.rows(names.QUARANTINE)}
    assert found == dict(enumerate([line for line in lines if line][-3:], start=1))


def test_a_bulk_takes_the_days_that_it_declared(warehouse: Warehouse) -> None:
    rows = [event(), event(event_time=NOON.replace(day=9))]
    warehouse.land(names.EVENTS, rows, ds=None)
    days = ["--ds-from", str(DAY), "--ds-to", str(DAY), "--run-at", "2026-03-12T02:00:00Z"]
    assert ingest_events.main(["--root", str(warehouse.root), "--bulk", *days]) == names.EXIT_DONE
    (refused,) = warehouse.rows(names.QUARANTINE)
    assert documented()["a day outside a bulk"] == quarantined(refused["reason"]) == LINES["a day outside a bulk"]
    counts: Any = warehouse.context.ledger.state(names.INGEST_EVENTS_JOB, DAY).counts
    assert (counts["read"], counts["accepted"], counts["quarantined"]) == (2, 1, 1)


def test_all_rows_refused_is_a_day_without_events(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [event(user_id=None, query="q"), event(event_type="hover")])
    row = warehouse.ingest(names.EVENTS)
    assert (row.status, row.counts["accepted"], row.counts["quarantined"]) == (names.DONE, 0, 2)
    assert warehouse.rows(names.EVENTS) == []
