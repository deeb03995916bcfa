"""A landing zone to write bad input into, in every format, and a warehouse to read what came of it."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from jobs.ingest import IngestOptions, ingest_stage
from jobs.ledger import LedgerRow
from jobs.places import Places
from jobs.stage import Context, run_stage
from schemas import names

DAY = date(2026, 3, 10)
Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Warehouse:
    """One root folder with a landing zone."""

    spark: SparkSession
    root: Path
    run_at: datetime = datetime(2026, 3, 11, 2, tzinfo=UTC)
    options: IngestOptions = field(default_factory=IngestOptions)

    @property
    def context(self) -> Context:
        return Context(spark=self.spark, places=Places(str(self.root)), run_at=self.run_at)

    def partition(self, table: str, ds: date | None) -> Path:
        """The landing folder of a day, or of the bulk load."""
        return self.root / "landing" / table / (f"ds={ds}" if ds else "bulk")

    def land(
        self, table: str, rows: Rows, *, format: str = "parquet", ds: date | None = DAY, name: str = "part-0", marker: bool = True
    ) -> Path:
        """Write ``rows`` as one file (Delta: one table) and the success marker; the folder."""
        folder = self.partition(table, ds)
        folder.mkdir(parents=True, exist_ok=True)
        if rows:
            WRITERS[format](folder, name, rows)
        if marker:
            (folder / names.SUCCESS_MARKER).touch()
        return folder

    def ingest(self, table: str, ds: date = DAY, **options: Any) -> LedgerRow:
        return run_stage(self.context, ingest_stage(table, IngestOptions(**options)), ds)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table, in a stable order."""
        return sorted((row.asDict() for row in self.context.tables.read(table).collect()), key=lambda row: json.dumps(row, default=str))

    def version(self, table: str) -> int:
        return self.context.tables.version(table)


def _text(value: Any) -> str:
    """A value as a text format spells it; bytes stand for text that is not UTF-8."""
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _write_json(folder: Path, name: str, rows: Rows) -> None:
    plain = (int, float, bool, type(None))
    spelled = [{key: value if isinstance(value, plain) else _text(value) for key, value in row.items()} for row in rows]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in spelled)
    (folder / f"{name}.jsonl").write_text(lines, errors="surrogateescape", encoding="utf-8")


def _write_csv(folder: Path, name: str, rows: Rows) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else _text(value) for key, value in row.items()} for row in rows)
    (folder / f"{name}.csv").write_text(text.getvalue(), errors="surrogateescape", encoding="utf-8")


def _arrow(rows: Rows) -> pa.Table:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return pa.table({column: _arrow_column([row.get(column) for row in rows]) for column in columns})


def _arrow_column(values: list[Any]) -> pa.Array:
    """Typed where all values have one type; otherwise text, with bytes that are not UTF-8 as they are."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {datetime}:
        return pa.array(values, pa.timestamp("us", tz="UTC"))
    if len(kinds) == 1 and not kinds & {str, bytes}:
        return pa.array(values)
    if kinds == {bytes}:
        return pa.array(values, pa.binary())
    encoded = [None if value is None else _text(value).encode(errors="surrogateescape") for value in values]
    return pa.array(encoded, pa.binary()).view(pa.string())


def _write_parquet(folder: Path, name: str, rows: Rows) -> None:
    pq.write_table(_arrow(rows), folder / f"{name}.parquet")


def _write_delta(folder: Path, name: str, rows: Rows) -> None:
    write_deltalake(str(folder), _arrow(rows), mode="append")


WRITERS: dict[str, Callable[[Path, str, Rows], None]] = {
    "parquet": _write_parquet,
    "json": _write_json,
    "csv": _write_csv,
    "delta": _write_delta,
}
