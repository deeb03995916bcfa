"""One set of rows, whatever the format; and sources that cannot be meant."""

import gzip
from datetime import UTC, datetime, timedelta

import pandas as pd

from jobs.landing import find_partition, read_partition
from jobs.mapping import CsvFormat, Mapping
from schemas import names
from tests.ingest.warehouse import DAY, Warehouse

NOON = datetime(2026, 3, 10, 12, 0, 0, 123456, tzinfo=UTC)
EVENTS = [
    {"user_id": "u1", "event_time": NOON, "event_type": "rating", "item_id": "42", "query": 'a "quoted", text', "value": 4.5},
    {"user_id": "u1", "event_time": NOON, "event_type": "rating", "item_id": "42", "query": 'a "quoted", text', "value": 4.5},
    {"user_id": "ü2", "event_time": NOON - timedelta(days=3), "event_type": "click", "item_id": "7", "query": None, "value": 1.0},
    {"user_id": "u3", "event_time": NOON, "event_type": "query", "item_id": None, "query": "naïve café 🫖", "value": None},
]


def test_every_format_gives_the_same_rows(warehouse: Warehouse) -> None:
    found = {}
    for offset, format in enumerate(("parquet", "json", "csv", "delta")):
        ds = DAY + timedelta(days=offset)
        warehouse.land(names.EVENTS, EVENTS, format=format, ds=ds)
        assert warehouse.ingest(names.EVENTS, ds).counts["accepted"] == len(EVENTS)
        of_day = [row for row in warehouse.rows(names.EVENTS) if row["ds"] == ds]
        found[format] = [{name: value for name, value in row.items() if name != "ds"} for row in of_day]
    assert found["parquet"] == found["json"] == found["csv"] == found["delta"]
    times = {row["event_time"].replace(tzinfo=UTC) if row["event_time"].tzinfo is None else row["event_time"] for row in found["csv"]}
    assert times == {NOON, NOON - timedelta(days=3)}
    assert sorted(row["query"] or "" for row in found["json"]) == sorted(row["query"] or "" for row in EVENTS)
    assert len({row["event_id"] for row in found["parquet"]}) == len(EVENTS)


def test_files_of_other_column_orders_and_sets_are_read_by_name(warehouse: Warehouse) -> None:
    folder = warehouse.land(names.EVENTS, [])
    (folder / "a.csv").write_text("user_id,event_time,event_type,item_id\nu1,2026-03-10,click,i1\n")
    (folder / "b.csv").write_text("\ufeffitem_id,query,event_type,event_time,user_id\ni2,jug,cart,2026-03-10,u2\n")
    with gzip.open(folder / "c.csv.gz", "wt") as file:
        file.write("event_time,user_id,item_id,event_type\n2026-03-10,u3,i3,purchase\n")
    warehouse.ingest(names.EVENTS)
    found = {(row["user_id"], row["item_id"], row["event_type"], row["query"]) for row in warehouse.rows(names.EVENTS)}
    assert found == {("u1", "i1", "click", None), ("u2", "i2", "cart", "jug"), ("u3", "i3", "purchase", None)}


def test_parquet_files_of_other_column_sets_are_merged(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [{key: EVENTS[2][key] for key in ("user_id", "event_time", "event_type", "item_id")}], name="a")
    warehouse.land(names.EVENTS, [EVENTS[3]], name="b")
    warehouse.ingest(names.EVENTS)
    assert {row["query"] for row in warehouse.rows(names.EVENTS)} == {None, EVENTS[3]["query"]}


def test_line_breaks_inside_quotes_need_multiline(warehouse: Warehouse) -> None:
    (warehouse.land(names.ITEMS, []) / "a.csv").write_text('item_id,title\ni1,"two\nlines, é"\ni2,plain\n', encoding="utf-8")
    refused = warehouse.ingest(names.ITEMS)
    assert (refused.counts["accepted"], refused.counts["quarantined_malformed_row"]) == (1, 2)
    read = warehouse.ingest(names.ITEMS, mapping=Mapping(csv=CsvFormat(multiline=True)))
    assert (read.counts["accepted"], read.counts["quarantined"]) == (2, 0)
    assert {row["title"] for row in warehouse.rows(names.ITEMS)} == {"two\nlines, é", "plain"}
    assert warehouse.rows(names.QUARANTINE) == []


def test_multiline_csv_keeps_bytes_that_are_not_utf8(warehouse: Warehouse) -> None:
    (warehouse.land(names.ITEMS, []) / "a.csv").write_bytes(b"item_id,title\ni1,Pich\xe9\ni2,Pich\xc3\xa9\n")
    row = warehouse.ingest(names.ITEMS, mapping=Mapping(csv=CsvFormat(multiline=True)))
    assert row.counts["quarantined_not_utf8"] == 1
    assert [found["title"] for found in warehouse.rows(names.ITEMS)] == ["Piché"]


def test_row_numbers_count_in_each_file(warehouse: Warehouse) -> None:
    folder = warehouse.land(names.EVENTS, [])
    (folder / "a.jsonl").write_text('{"n": 0}\n{"n": 1}\n{"n": 2}')
    (folder / "sub").mkdir()
    (folder / "sub" / "b.jsonl").write_text('{"n": 0}\n\n{"n": 1}\n\n')
    partition = find_partition(warehouse.spark, warehouse.context.places, names.EVENTS, DAY)
    rows = read_partition(warehouse.spark, partition, CsvFormat()).rows.select("source_file", "row_number", "source.n").collect()
    expected = {"a.jsonl": 3, "sub/b.jsonl": 2}
    assert sorted(map(tuple, rows)) == [(name, n, str(n)) for name, lines in expected.items() for n in range(lines)]


def test_times_of_pandas_in_nanoseconds(warehouse: Warehouse) -> None:
    frame = pd.DataFrame({"user_id": ["u1"], "event_time": pd.to_datetime(["2026-03-10T01:02:03.000004"]).astype("datetime64[ns]")})
    frame.assign(event_type="click", item_id="i1").to_parquet(warehouse.land(names.EVENTS, []) / "a.parquet")
    assert warehouse.ingest(names.EVENTS).counts["accepted"] == 1
    (row,) = warehouse.rows(names.EVENTS)
    assert row["event_time"].isoformat().startswith("2026-03-10T01:02:03.000004")


def test_a_mapped_column_that_is_not_there_is_missing_even_where_optional(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, EVENTS)
    row = warehouse.ingest(names.EVENTS, mapping=Mapping.model_validate({"events": {"query": "search"}}))
    assert "[MISSING_COLUMN]" in str(row.reason)
    assert "column: query" in str(row.reason)


def test_events_need_a_column_for_items_or_queries(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, [{"user_id": "u1", "event_time": NOON, "event_type": "click"}])
    assert "[MISSING_COLUMN]" in str(warehouse.ingest(names.EVENTS).reason)


LINE = "u{0},2026-03-10T12:00:00Z,click,i{0}\n"
HEADER = "user_id,event_time,event_type,item_id\n"


def test_blank_lines_before_a_header_hide_no_row(warehouse: Warehouse) -> None:
    (warehouse.land(names.EVENTS, []) / "a.csv").write_text("\n  \n" + HEADER + LINE.format(1) + LINE.format(2))
    assert (warehouse.ingest(names.EVENTS).counts["accepted"], len(warehouse.rows(names.EVENTS))) == (2, 2)


def test_a_file_name_is_no_pattern(warehouse: Warehouse) -> None:
    folder = warehouse.land(names.EVENTS, [])
    for name, user in (("e[1].csv", 1), ("e1.csv", 2), ("e{2}*.csv", 3)):
        (folder / name).write_text(HEADER + LINE.format(user))
    assert warehouse.ingest(names.EVENTS).counts["accepted"] == 3
    assert {row["user_id"] for row in warehouse.rows(names.EVENTS)} == {"u1", "u2", "u3"}
