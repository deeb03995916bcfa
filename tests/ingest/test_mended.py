"""Refused rows, mended by hand and fed back: they take the places of the refused ones, and nothing is counted twice."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.bulk_load import bulk_load
from jobs.errors import InputMissingError, UsageError
from jobs.export_quarantine import ExportQuarantineArgs, export
from jobs.ingest import IngestOptions
from jobs.ledger import LedgerRow
from jobs.mapping import Mapping
from jobs.mend import changes, mend
from schemas import names
from tests.ingest.warehouse import DAY, Warehouse

CSV = "user_id,event_time,event_type,item_id\nu1,2026-03-10,click,i1\nu2,someday,click,i2\nu3,2026-03-10,hover,i3\nu4,2026-03-10\n"
Change = Callable[[dict[str, Any]], dict[str, Any]]


def exported(warehouse: Warehouse, table: str, folder: Path) -> list[dict[str, Any]]:
    out = folder / f"{table}.jsonl"
    out.unlink(missing_ok=True)
    export(warehouse.context, ExportQuarantineArgs(root=str(warehouse.root), table=table, out=out))  # type: ignore[arg-type]
    return [json.loads(line) for line in out.read_text().split("\n") if line]


def fed_back(warehouse: Warehouse, lines: list[dict[str, Any]], folder: Path) -> list[int]:
    """Kept rows a partition."""
    file = folder / "mended.jsonl"
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return [one.rows for one in mend(warehouse.context, file)]


def test_mended_rows_are_accepted_and_the_others_stay_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    (warehouse.land(names.EVENTS, []) / "a.csv").write_text(CSV)
    before = warehouse.ingest(names.EVENTS)
    assert (before.counts["read"], before.counts["accepted"], before.counts["quarantined"]) == (4, 1, 3)
    lines = exported(warehouse, names.EVENTS, tmp_path)
    assert [(line["reason"], line["row_number"]) for line in lines] == [
        ("bad_type:event_time", 1), ("unknown_event_type", 2), ("malformed_row", 3),
    ]  # fmt: skip
    lines[0]["row"]["event_time"] = "2026-03-10T08:00:00Z"
    lines[2]["row"] = {"user_id": "u4", "event_time": "2026-03-10", "event_type": "click", "item_id": "i4"}
    assert fed_back(warehouse, lines, tmp_path) == [2]

    after = warehouse.ingest(names.EVENTS)
    assert (after.status, after.counts["read"], after.counts["accepted"], after.counts["quarantined"]) == (names.DONE, 4, 3, 1)
    assert sorted(row["user_id"] for row in warehouse.rows(names.EVENTS)) == ["u1", "u2", "u4"]
    assert [row["reason"] for row in warehouse.rows(names.QUARANTINE)] == ["unknown_event_type"]
    assert warehouse.ingest(names.EVENTS).status == names.UNCHANGED


def test_a_row_mended_twice_keeps_what_was_not_touched_as_it_landed(warehouse: Warehouse, tmp_path: Path) -> None:
    """In its own type: an id that landed as a floating number, a time to the microsecond."""
    time = datetime(2026, 3, 10, 8, 0, 0, 123_456, tzinfo=UTC)
    landed = {"user_id": 7.0, "event_time": time, "event_type": "hover", "item_id": 12.0, "query": "a\u2028b"}
    warehouse.land(names.EVENTS, [landed])
    warehouse.ingest(names.EVENTS)
    for event_type in ("hoover", "click"):  # the first is as wrong as it was
        (line,) = exported(warehouse, names.EVENTS, tmp_path)
        line["row"]["event_type"] = event_type
        fed_back(warehouse, [line], tmp_path)
        row = warehouse.ingest(names.EVENTS)
        assert (row.counts["read"], row.counts["accepted"]) == (1, int(event_type == "click"))
    (event,) = warehouse.rows(names.EVENTS)
    assert (event["user_id"], event["item_id"], event["query"], event["event_type"]) == ("7", "12", "a\u2028b", "click")
    assert event["event_time"].replace(tzinfo=UTC) == time


def test_a_mend_can_be_corrected_and_said_again(warehouse: Warehouse, tmp_path: Path) -> None:
    (warehouse.land(names.EVENTS, []) / "a.csv").write_text(CSV)
    warehouse.ingest(names.EVENTS)
    lines = exported(warehouse, names.EVENTS, tmp_path)[:1]
    for user in ("wrong", "u2"):
        lines[0]["row"] |= {"event_time": "2026-03-10", "user_id": user}
        assert fed_back(warehouse, lines, tmp_path) == [1]
        assert fed_back(warehouse, lines, tmp_path) == [1]
        warehouse.ingest(names.EVENTS)
        assert sorted(row["user_id"] for row in warehouse.rows(names.EVENTS)) == sorted(["u1", user])


@pytest.mark.parametrize("bulk", [False, True])
def test_what_the_error_budget_stopped_can_be_mended(warehouse: Warehouse, tmp_path: Path, bulk: bool) -> None:
    mapping = Mapping.model_validate({"events": {"user_id": "customer"}, "csv": {"delimiter": ";"}})
    rows = [f"u{n};2026-03-{10 if not bulk else 1 + n % 9:02};hover;i1\n" for n in range(120)]
    folder = warehouse.land(names.EVENTS, [], ds=None if bulk else DAY)
    (folder / "a.csv").write_text("customer;event_time;event_type;item_id\n" + "".join(rows))

    def load() -> list[LedgerRow]:
        if bulk:
            return bulk_load(warehouse.context, names.EVENTS, IngestOptions(bulk=True, mapping=mapping))
        return [warehouse.ingest(names.EVENTS, mapping=mapping)]

    assert {row.status for row in load()} == {names.BLOCKED}
    lines = exported(warehouse, names.EVENTS, tmp_path)
    for line in lines[:60]:
        line["row"]["event_type"] = "click"
    assert fed_back(warehouse, lines, tmp_path) == [60]
    loaded = load()
    assert {row.status for row in loaded} == {names.DONE}
    assert sum(row.counts["read"] for row in loaded) == 120
    assert (len(warehouse.rows(names.EVENTS)), len(warehouse.rows(names.QUARANTINE))) == (60, 60)


def test_an_item_keeps_its_picture(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.land(names.ITEMS, [{"item_id": "i1", "title": "Jug", "price": "cheap", "image": b"bytes"}])
    warehouse.ingest(names.ITEMS)
    (line,) = exported(warehouse, names.ITEMS, tmp_path)
    line["row"]["price"] = 3.5
    fed_back(warehouse, [line], tmp_path)
    warehouse.ingest(names.ITEMS)
    (item,) = warehouse.rows(names.ITEMS)
    assert item["price"] == 3.5
    assert item["image_sha256"] == "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"  # sha256sum of "bytes"


def test_other_files_are_not_mended_by_what_was_made_for_these(warehouse: Warehouse, tmp_path: Path) -> None:
    file = warehouse.land(names.EVENTS, []) / "a.csv"
    file.write_text(CSV)
    warehouse.ingest(names.EVENTS)
    lines = exported(warehouse, names.EVENTS, tmp_path)
    lines[0]["row"]["event_time"] = "2026-03-10"
    fed_back(warehouse, lines, tmp_path)
    file.write_text(CSV.replace("u2,someday,click,i2\n", ""))
    row = warehouse.ingest(names.EVENTS)
    assert (row.counts["read"], row.counts["accepted"]) == (3, 1)


def _of_no_row(line: dict[str, Any]) -> dict[str, Any]:
    return {**line, "row_number": 0}


def _without_row(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "row"}


@pytest.mark.parametrize(
    ("landed", "mended", "expected"),
    [
        ({"a": "1", "b": 2.0}, {"a": "1", "b": 2.0}, {}),
        ({"a": "1", "b": 2.0}, {"a": "1", "b": "2.0"}, {}),
        ({"a": "1", "b": 2.0}, {"a": "3"}, {"a": "3", "b": None}),
        ({"a": "1"}, {"a": "1", "c": True, "d": None}, {"c": "true", "d": None}),
        ({"a:base64": "4w==", "b": "x"}, {"a": "ã", "b": "x"}, {"a": "ã"}),
        ({"a:base64": "4w==", "b": "x"}, {"b": "x"}, {"a": None}),
        ({"image:sha256": "0", "image:length": 1, "b": "x"}, {"b": "y"}, {"b": "y"}),
        ({"line": "a,b"}, {"line": "a,b"}, {}),
        ({"line": "a,b"}, {"a": "a", "line": "b"}, {"a": "a", "line": "b"}),
    ],
)
def test_only_what_was_changed_is_kept(landed: dict[str, Any], mended: dict[str, Any], expected: dict[str, str | None]) -> None:
    assert changes(landed, mended) == expected


@pytest.mark.parametrize(("spoil", "code"), [(_of_no_row, "NOT_IN_QUARANTINE"), (_without_row, "BAD_MENDED_LINE")])
def test_a_line_that_cannot_be_meant_keeps_nothing(warehouse: Warehouse, tmp_path: Path, spoil: Change, code: str) -> None:
    (warehouse.land(names.EVENTS, []) / "a.csv").write_text(CSV)
    warehouse.ingest(names.EVENTS)
    first, *others = exported(warehouse, names.EVENTS, tmp_path)
    first["row"]["event_time"] = "2026-03-10"
    with pytest.raises(UsageError, match=code):
        fed_back(warehouse, [first, spoil(others[0])], tmp_path)
    assert not (warehouse.root / "mended").exists()


def test_rows_refused_from_files_that_are_gone_are_not_mended(warehouse: Warehouse, tmp_path: Path) -> None:
    file = warehouse.land(names.EVENTS, []) / "a.csv"
    file.write_text(CSV)
    warehouse.ingest(names.EVENTS)
    (first, *_) = exported(warehouse, names.EVENTS, tmp_path)
    first["row"]["event_time"] = "2026-03-10"
    file.write_text(CSV.replace("someday", "one day"))
    with pytest.raises(InputMissingError, match="LANDED_ANEW"):
        fed_back(warehouse, [first], tmp_path)


def test_an_export_does_not_write_over_a_file(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("by hand")
    with pytest.raises(UsageError, match="OUT_EXISTS"):
        export(warehouse.context, ExportQuarantineArgs(root=str(warehouse.root), table="events", out=tmp_path / "out.jsonl", ds=str(DAY)))
