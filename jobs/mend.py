"""mend: feed mended rows of quarantine back; the next ingest of their day reads them in the places of the refused ones."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pyspark.sql import functions as F

from jobs.cli import RootArgs, context_of, run_main
from jobs.errors import InputMissingError, UsageError
from jobs.export_quarantine import quarantined_rows
from jobs.ingest import JOB_OF
from jobs.landing import BULK, Partition, find_partition
from jobs.landing_images import LANDING, MAPPING
from jobs.mapping import IMAGE, Mapping
from jobs.mended import MendedRow, keep_mended, read_landed, text_values
from jobs.quarantine import rows_as_json
from jobs.stage import Context
from jobs.transforms.contract_check import PLACE
from schemas import names

Place = tuple[str, int]


class _Line(BaseModel):
    """A line of the file: what ``export-quarantine`` writes."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    table: str
    ds: date
    source_file: str
    row_number: int
    row: dict[str, Any]

    @property
    def place(self) -> Place:
        return self.source_file, self.row_number


@dataclass(frozen=True, kw_only=True)
class MendArgs(RootArgs):
    """Keep the rows of a file that `karma export-quarantine` wrote and you changed; unchanged lines are passed over."""

    file: Path
    """JSON lines; "row" holds the source's own columns."""


@dataclass(frozen=True, kw_only=True)
class Mended:
    """Rows that were kept of one landing partition."""

    table: str
    days: tuple[date, ...]
    partition: Partition
    rows: int

    @property
    def next_command(self) -> str:
        if self.partition.label == BULK:
            return f"karma {JOB_OF[self.table]} --bulk, or make own-data with the same words as before"
        source = "" if self.partition.label == f"ds={self.days[0]}" else f" --source {self.partition.label}"
        return f"karma {JOB_OF[self.table]} --ds {self.days[0]}{source}, or the whole day anew: karma run-day --ds {self.days[0]}"


def mend(context: Context, file: Path) -> list[Mended]:
    """Keep every changed row of ``file``; nothing is kept where one of its lines cannot be.

    Raises UsageError: a line is not what ``export-quarantine`` writes, or names no row of quarantine; InputMissingError: the landed
    files are not those any more that the rows were refused from.
    """
    by_partition: dict[tuple[str, str, str], list[_Line]] = defaultdict(list)
    for line in _changed(context, _lines_of(file)):
        by_partition[line.table, *_landing_of(context, line)].append(line)
    found = [(lines, *_partition_of(context, *key, lines)) for key, lines in by_partition.items()]
    for lines, partition, mapping in found:
        _refuse_other_rows(context, partition, mapping, lines)
    return [_kept(context, partition, lines) for lines, partition, _ in found]


def _lines_of(file: Path) -> list[_Line]:
    try:
        texts = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("NO_MENDED_FILE", f"cannot read the mended rows: {error}", expected="JSON lines", got=file) from None
    return [_line(text, number, file) for number, text in enumerate(texts, start=1) if text.strip()]


def _line(text: str, number: int, file: Path) -> _Line:
    try:
        line = _Line.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise UsageError(
            "BAD_MENDED_LINE", "a line is not what export-quarantine writes", column=".".join(map(str, fault["loc"])) or None,
            partition=f"{file}, line {number}", expected="table, ds, source_file, row_number, row", got=fault["msg"],
        ) from None  # fmt: skip
    if line.table not in JOB_OF:
        raise UsageError("BAD_MENDED_LINE", "no rows of that table are ingested", table=line.table, partition=f"{file}, line {number}")
    return line


def _changed(context: Context, lines: Sequence[_Line]) -> list[_Line]:
    """Those whose row is not what quarantine holds. Raises UsageError where quarantine has no such row."""
    refused = {table: _refused(context, table, lines) for table in {line.table for line in lines}}
    for line in lines:
        if (line.ds, *line.place) not in refused[line.table]:
            raise UsageError(
                "NOT_IN_QUARANTINE", "a line names a row that quarantine does not hold", table=line.table, partition=f"ds={line.ds}",
                expected="a refused row", got=f"{line.source_file}, row {line.row_number}", hint="export anew: the day was ingested since",
            )  # fmt: skip
    return [line for line in lines if line.row != refused[line.table][(line.ds, *line.place)]]


def _refused(context: Context, table: str, lines: Iterable[_Line]) -> dict[tuple[date, str, int], dict[str, Any]]:
    days = sorted({line.ds for line in lines if line.table == table})
    rows = quarantined_rows(context, table).where(F.col("ds").isin(days)).select("ds", *PLACE, "row").toLocalIterator()
    return {(row["ds"], row["source_file"], row["row_number"]): json.loads(row["row"]) for row in rows}


def _landing_of(context: Context, line: _Line) -> tuple[str, str]:
    """The label of the landing partition that a day was read from, and the mapping (JSON)."""
    row = context.ledger.standing(JOB_OF[line.table], line.ds)
    details = row.details if row else {}
    return details.get(LANDING, f"ds={line.ds}"), details.get(MAPPING, "{}")


def _partition_of(context: Context, table: str, label: str, mapping: str, lines: Sequence[_Line]) -> tuple[Partition, Mapping]:
    day = lines[0].ds
    source = None if label in (BULK, f"ds={day}") else label
    partition = find_partition(context.spark, context.places, table, None if label == BULK else day, source)
    return partition, Mapping.model_validate_json(mapping)


def _refuse_other_rows(context: Context, partition: Partition, mapping: Mapping, lines: Sequence[_Line]) -> None:
    """Raises InputMissingError where the landed files hold something else at a place than what was refused there."""
    rule = mapping.rules(partition.table).get(IMAGE)
    image = ((rule.column if rule else None) or IMAGE) if partition.table == names.ITEMS else None
    landed = rows_as_json(read_landed(context, partition, mapping), image)
    wanted = context.spark.createDataFrame([line.place for line in lines], "source_file string, row_number long")
    days = sorted({line.ds for line in lines})
    refused = quarantined_rows(context, partition.table).where(F.col("ds").isin(days)).select(*PLACE, F.col("row").alias("_refused"))
    other = landed.join(wanted, list(PLACE), "right").join(refused, list(PLACE), "left").where(~F.col("row").eqNullSafe(F.col("_refused")))
    gone = other.first()
    if gone is not None:
        raise InputMissingError(
            "LANDED_ANEW", "the landed files are not those that the rows were refused from", table=partition.table,
            partition=partition.label, expected="the same files", got=f"another row {gone['row_number']} of {gone['source_file']}",
            hint="ingest the day again, and export what is refused then",
        )  # fmt: skip


def _kept(context: Context, partition: Partition, lines: Sequence[_Line]) -> Mended:
    rows = [MendedRow(source_file=line.source_file, row_number=line.row_number, values=text_values(line.row)) for line in lines]
    keep_mended(context, partition, rows)
    return Mended(table=partition.table, days=tuple(sorted({line.ds for line in lines})), partition=partition, rows=len(rows))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``karma mend``."""

    def body(args: MendArgs) -> int:
        kept = mend(context_of(args, "mend"), args.file)
        for one in kept:
            sys.stdout.write(f"{one.table} {one.partition.label}: {one.rows:,} mended rows kept. Next: {one.next_command}\n")
        if not kept:
            sys.stdout.write("no line was changed: nothing to mend\n")
        return names.EXIT_DONE

    return run_main(MendArgs, body, argv, prog="karma mend")


if __name__ == "__main__":
    sys.exit(main())
