"""export-quarantine: refused rows as JSON lines, to be looked at or mended by hand; `karma mend` takes them back."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.cli import RootArgs, context_of, parse_day, run_main
from jobs.errors import InputMissingError, UsageError
from jobs.stage import Context
from schemas import names

FIELDS = ("table", "ds", "reason", "source_file", "row_number")
"""Beside ``row``, the landed columns, which is what a person changes; these say which row it is."""


@dataclass(frozen=True, kw_only=True)
class ExportQuarantineArgs(RootArgs):
    """Write refused rows to a file, one JSON object a line; change what stands under "row", and give the file to `karma mend`."""

    table: Literal["events", "items", "impressions", "requests"]
    """The table that they were meant for."""
    out: Path
    """File to write (JSON lines); it must not be there yet."""
    ds: str | None = None
    """Only rows of this arrival day."""
    reason: str | None = None
    """Only rows refused for this reason."""


def quarantined_rows(context: Context, table: str) -> DataFrame:
    """What quarantine holds for ``table``. Raises InputMissingError where there is no quarantine yet."""
    if not context.tables.exists(names.QUARANTINE):
        raise InputMissingError("NO_QUARANTINE", "nothing was ever refused here", table=names.QUARANTINE, expected=context.places.warehouse)
    return context.tables.read(names.QUARANTINE).where(F.col("table") == table)


def _lines(rows: DataFrame) -> Iterator[dict[str, Any]]:
    for row in rows.orderBy("ds", "source_file", "row_number").toLocalIterator():
        yield {**{field: row[field] for field in FIELDS}, "ds": str(row["ds"]), "row": json.loads(row["row"])}


def export(context: Context, args: ExportQuarantineArgs) -> int:
    """Write the rows that ``args`` name; their number. Raises UsageError where the file is there already."""
    if args.out.exists():
        raise UsageError("OUT_EXISTS", "the file is there already", expected="a new file", got=args.out, hint="it may hold mended rows")
    rows = quarantined_rows(context, args.table)
    if args.ds:
        rows = rows.where(F.col("ds") == F.lit(parse_day(args.ds, "--ds")))
    if args.reason:
        rows = rows.where(F.col("reason") == args.reason)
    draft = args.out.with_name(f"{args.out.name}.draft")
    with draft.open("w", encoding="utf-8") as file:
        written = sum(file.write(json.dumps(line, ensure_ascii=False) + "\n") > 0 for line in _lines(rows))
    draft.rename(args.out)
    return written


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``karma export-quarantine``."""

    def body(args: ExportQuarantineArgs) -> int:
        context = context_of(args, "export-quarantine")
        sys.stdout.write(f"{export(context, args):,} rows in {args.out}\n")
        return names.EXIT_DONE

    return run_main(ExportQuarantineArgs, body, argv, prog="karma export-quarantine")


if __name__ == "__main__":
    sys.exit(main())
