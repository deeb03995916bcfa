"""mend: feed mended rows of quarantine back; the next ingest of their day reads them in the places of the refused ones."""

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
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
from jobs.landing import BULK, Partition, find_partition, read_partition
from jobs.landing_images import LANDING, MAPPING
from jobs.mapping import IMAGE, Mapping
from jobs.mended import MendedRow, as_text, keep_mended, mended_rows
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
    day: date
    partition: Partition
    rows: int

    @property
    def next_command(self) -> str:
        """What reads them; the flags that say where and how are those of the load."""
        job, same = JOB_OF[self.table], "with the same --root, --landing, --warehouse and --mapping"
        if self.partition.label == BULK:
            return f"karma {job} --bulk, or own-data, {same}"
        if self.partition.label != f"ds={self.day}":
            return f"karma {job} --ds {self.day} --source {self.partition.label}, {same}"
        if self.table == names.REQUESTS:
            return f"karma {job} --ds {self.day}, {same}; then karma {names.REQUEST_EMBEDDINGS_JOB} --ds {self.day}"
        return f"karma run-day --ds {self.day}, {same}; later days are stale then: run-day --ds-from .. --ds-to .."


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Lines of one landing partition, as it is now."""

    partition: Partition
    mapping: Mapping
    lines: Sequence[_Line]


def mend(context: Context, file: Path) -> list[Mended]:
    """Keep every changed row of ``file``, in place of what was kept of it before; nothing is kept where one of its lines cannot be.

    Raises UsageError: a line is not what ``export-quarantine`` writes, or names a row that was not refused; InputMissingError: the
    landed files are not those any more that the rows were refused from.
    """
    lines: dict[tuple[str, str, str], list[_Line]] = defaultdict(list)
    for line in _lines_of(file):
        lines[line.table, *_landing_of(context, line)].append(line)
    parts = [_part_of(context, *key, of_partition) for key, of_partition in lines.items()]
    kept = [(part, _changed(context, part)) for part in parts]
    for part, rows in kept:
        if rows:
            keep_mended(context, part.partition, part.mapping, rows)
    return [
        Mended(table=part.partition.table, day=part.lines[0].ds, partition=part.partition, rows=len(rows)) for part, rows in kept if rows
    ]


def _lines_of(file: Path) -> list[_Line]:
    try:
        texts = file.read_text(encoding="utf-8").split("\n")  # a text may hold other line breaks of Unicode
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


def _landing_of(context: Context, line: _Line) -> tuple[str, str]:
    """The label of the landing partition that a day was read from, and the mapping (JSON)."""
    row = context.ledger.standing(JOB_OF[line.table], line.ds)
    details = row.details if row else {}
    return details.get(LANDING, f"ds={line.ds}"), details.get(MAPPING, "{}")


def _part_of(context: Context, table: str, label: str, mapping: str, lines: Sequence[_Line]) -> _Part:
    day = lines[0].ds
    source = None if label in (BULK, f"ds={day}") else label
    partition = find_partition(context.spark, context.places, table, None if label == BULK else day, source)
    return _Part(partition=partition, mapping=Mapping.model_validate_json(mapping), lines=lines)


def _changed(context: Context, part: _Part) -> list[MendedRow]:
    """The lines whose row is not what landed, with what they change of it."""
    landed, refused = _landed(context, part), _refused(context, part)
    before = {(row.source_file, row.row_number) for row in mended_rows(context, part.partition, part.mapping)}
    changed = []
    for line in part.lines:
        if line.place not in before:
            _refuse_another_row(part, line, landed.get(line.place), refused.get(line.place))
        values = changes(landed[line.place], line.row)
        if values:
            changed.append(MendedRow(source_file=line.source_file, row_number=line.row_number, values=values))
    return changed


def _landed(context: Context, part: _Part) -> dict[Place, dict[str, Any]]:
    """The content that landed at the places of the lines."""
    rule = part.mapping.rules(part.partition.table).get(IMAGE)
    image = ((rule.column if rule else None) or IMAGE) if part.partition.table == names.ITEMS else None
    rows = rows_as_json(read_partition(context.spark, part.partition, part.mapping.csv), image)
    places = context.spark.createDataFrame([line.place for line in part.lines], "source_file string, row_number long")
    found = rows.join(places, list(PLACE), "left_semi").toLocalIterator()
    return {(row["source_file"], row["row_number"]): json.loads(row["row"]) for row in found}


def _refused(context: Context, part: _Part) -> dict[Place, dict[str, Any]]:
    days = sorted({line.ds for line in part.lines})
    rows = quarantined_rows(context, part.partition.table).where(F.col("ds").isin(days)).select(*PLACE, "row").toLocalIterator()
    return {(row["source_file"], row["row_number"]): json.loads(row["row"]) for row in rows}


def _refuse_another_row(part: _Part, line: _Line, landed: dict[str, Any] | None, refused: dict[str, Any] | None) -> None:
    """For a place that was never mended. Raises where no row was refused there, or where another one lies there now."""
    at = f"{line.source_file}, row {line.row_number}"
    if refused is None:
        raise UsageError(
            "NOT_IN_QUARANTINE", "a line names a row that quarantine does not hold", table=line.table, partition=f"ds={line.ds}",
            expected="a refused row", got=at, hint="export anew: the day was ingested since",
        )  # fmt: skip
    if landed != refused:
        raise InputMissingError(
            "LANDED_ANEW", "the landed files are not those that the rows were refused from", table=line.table,
            partition=part.partition.label, expected="the same files", got=f"another {at}",
            hint="ingest the day again, and export what is refused then",
        )  # fmt: skip


_STANDS_FOR_BYTES = (":base64", ":sha256", ":length")
_UNPARSED = ({"line"}, {"line:base64"})


def changes(landed: dict[str, Any], mended: dict[str, Any]) -> dict[str, str | None]:
    """The source columns that ``mended`` says otherwise than ``landed``, as text; None where it leaves one out.

    ``name:base64`` stands for a text that is not UTF-8: without it and without ``name`` the text is left out; a picture's digest and
    length stand for bytes that stay.
    """
    if mended == landed:
        return {}
    if landed.keys() in _UNPARSED:
        landed = {}
    given = {name: as_text(value) for name, value in mended.items() if not name.endswith(_STANDS_FOR_BYTES)}
    values = {name: text for name, text in given.items() if name not in landed or text != as_text(landed[name])}
    left_out = {name.removesuffix(":base64") for name in landed.keys() - mended.keys() if not name.endswith((":sha256", ":length"))}
    return {**values, **dict.fromkeys(left_out - given.keys())}


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
