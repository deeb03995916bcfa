"""Every kind of bad row: refused with its reason, in every format, and nothing lost."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.ledger import LedgerRow
from schemas import names
from tests.ingest.warehouse import DAY, Rows, Warehouse

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
START = datetime(2026, 3, 10, tzinfo=UTC)


def event(**facts: Any) -> dict[str, Any]:
    given = {"event_id": None, "user_id": "u1", "event_time": NOON, "event_type": "click", "item_id": "i1", "query": None, "value": None}
    return {**given, **facts}


def item(**facts: Any) -> dict[str, Any]:
    return {"item_id": "i1", "title": "Blue jug", "category": "kitchen", "price": "3.5", "valid_from": None, **facts}


def impression(**facts: Any) -> dict[str, Any]:
    given = {"request_id": "r1", "item_id": "i1", "user_id": "u1", "impression_time": NOON, "query": None}
    return {**given, "position": "1", "clicked": "true", **facts}


# Reason -> the rows that must be refused for it; ``accepted`` -> rows that must not be.
EVENTS: dict[str, Rows] = {
    "accepted": [
        event(event_id="e1"),
        event(event_time=START - timedelta(days=7)),
        event(event_time=START + timedelta(days=1) - timedelta(microseconds=1)),
        event(item_id="never-seen", query="both"),
        event(item_id=None, query="jug", event_type="query"),
        event(query="control\tand\x01characters stay in texts"),
    ],
    "null_key": [event(user_id=None), event(user_id="  ")],
    "missing:event_time": [event(event_time=None)],
    "missing:event_type": [event(event_type="")],
    "bad_type:event_time": [event(event_time="yesterday"), event(event_time="2026-02-30"), event(event_time="10/03/2026")],
    "bad_type:value": [event(value="four")],
    "unknown_event_type": [event(event_type="hover")],
    "neither_item_nor_query": [event(item_id=None), event(item_id="", query=" ")],
    "future": [event(event_time=START + timedelta(days=1)), event(event_time=START + timedelta(days=300))],
    "too_late": [event(event_time=START - timedelta(days=7, microseconds=1))],
    "duplicate_event_id": [event(event_id="e1", item_id="i2"), event(event_id="e1", item_id="i3")],
    "control_characters": [event(user_id="u\x011")],
    "not_utf8": [event(query=b"caf\xe9"), event(user_id=b"\xff\xfe")],
}
ITEMS: dict[str, Rows] = {
    "accepted": [
        item(),
        item(item_id="i2", title=None),
        item(item_id="i3", title="x" * 1_000_000),
        item(item_id="i4", valid_from=START + timedelta(days=30)),
        item(item_id="i1", valid_from=START - timedelta(days=30), title="Jug"),
    ],
    "null_key": [item(item_id=None)],
    "bad_type:price": [item(item_id="i5", price="cheap")],
    "bad_type:valid_from": [item(item_id="i6", valid_from="soon")],
    "duplicate_item": [item(title="Blue jug, again"), item(item_id="i4", valid_from=START + timedelta(days=30), title="other")],
    "not_utf8": [item(item_id="i7", title=b"Pich\xe9")],
    "control_characters": [item(item_id="i\n8")],
}
IMPRESSIONS: dict[str, Rows] = {
    "accepted": [impression(), impression(item_id="i2", position=None, clicked="0"), impression(request_id="r2")],
    "null_key": [impression(request_id=None), impression(item_id=None), impression(user_id=None)],
    "missing:clicked": [impression(clicked=None, item_id="i3")],
    "bad_type:clicked": [impression(clicked="2", item_id="i4")],
    "bad_type:position": [impression(position="1.5", item_id="i5")],
    "future": [impression(impression_time=START + timedelta(days=1), item_id="i6")],
    "too_late": [impression(impression_time=START - timedelta(days=8), item_id="i7")],
    "duplicate_impression": [impression(clicked="false"), impression(request_id="r2")],
}
CASES = {names.EVENTS: EVENTS, names.ITEMS: ITEMS, names.IMPRESSIONS: IMPRESSIONS}
FORMATS = ("parquet", "json", "csv")
# A line break inside a key needs quotes over two lines in CSV (test_formats has those).
_LOADS = [(table, format) for table in CASES for format in FORMATS if (table, format) != (names.ITEMS, "csv")]


@pytest.fixture(scope="module")
def loads(_spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], tuple[Warehouse, LedgerRow]]:
    """Every table's good and bad rows, ingested once a format."""
    done = {}
    for table, format in _LOADS:
        warehouse = Warehouse(_spark_session, tmp_path_factory.mktemp(f"{table}-{format}"))
        warehouse.land(table, [row for rows in CASES[table].values() for row in rows], format=format)
        done[table, format] = warehouse, warehouse.ingest(table)
    return done


@pytest.mark.parametrize(("table", "format"), _LOADS)
def test_rows_read_are_accepted_or_quarantined(loads: Any, table: str, format: str) -> None:
    warehouse, row = loads[table, format]
    landed = sum(map(len, CASES[table].values()))
    assert row.status == names.DONE
    assert row.counts["read"] == landed
    assert row.counts["accepted"] == len(CASES[table]["accepted"]) == len(warehouse.rows(table))
    assert row.counts["quarantined"] == landed - len(CASES[table]["accepted"]) == len(warehouse.rows(names.QUARANTINE))


@pytest.mark.parametrize(
    ("table", "format", "reason"), [(table, format, reason) for table, format in _LOADS for reason in CASES[table] if reason != "accepted"]
)
def test_every_bad_row_is_refused_with_its_reason(loads: Any, table: str, format: str, reason: str) -> None:
    warehouse, row = loads[table, format]
    positions = [reason for reason, rows in CASES[table].items() for _ in rows]
    expected = {number for number, of in enumerate(positions) if of == reason}
    refused = [found for found in warehouse.rows(names.QUARANTINE) if found["reason"] == reason]
    assert {found["row_number"] for found in refused} == expected
    assert {found["source_file"].split(".")[0] for found in refused} == {"part-0"}
    assert {(found["job"], found["table"], found["ds"]) for found in refused} == {(f"ingest-{table}", table, DAY)}
    assert row.counts[f"quarantined_{reason}"] == len(expected)


def test_a_refused_row_keeps_what_landed(loads: Any) -> None:
    warehouse, _ = loads[names.EVENTS, "parquet"]
    rows = {(found["reason"], found["row_number"]): json.loads(found["row"]) for found in warehouse.rows(names.QUARANTINE)}
    (unknown,) = (row for (reason, _), row in rows.items() if reason == "unknown_event_type")
    assert unknown["event_type"] == "hover"
    assert unknown["user_id"] == "u1"
    broken = [row for (reason, _), row in sorted(rows.items()) if reason == "not_utf8"]
    assert broken[0]["query:base64"] == "Y2Fm6Q=="  # base64 of caf\xe9
    assert "query" not in broken[0]
    assert broken[1]["user_id:base64"] == "//4="


def test_a_line_that_is_not_utf8_is_kept_as_bytes(loads: Any) -> None:
    warehouse, _ = loads[names.EVENTS, "json"]
    broken = [json.loads(found["row"]) for found in warehouse.rows(names.QUARANTINE) if found["reason"] == "not_utf8"]
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
    assert row.counts["quarantined_malformed_row"] == 3
    assert row.counts["accepted"] == 1
    found = {entry["row_number"]: json.loads(entry["row"])["line"] for entry in warehouse.rows(names.QUARANTINE)}
    assert found == dict(enumerate([line for line in lines if line][-3:], start=1))


def test_all_rows_refused_is_a_day_without_events(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [event(user_id=None, query="q"), event(event_type="hover")])
    row = warehouse.ingest(names.EVENTS)
    assert (row.status, row.counts["accepted"], row.counts["quarantined"]) == (names.DONE, 0, 2)
    assert warehouse.rows(names.EVENTS) == []
