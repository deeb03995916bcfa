"""Mended rows: what people changed in quarantined ones, read in their place for as long as the landed files are the same."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame

from jobs.digests import digest_of
from jobs.landing import Landed, Partition, content_digest, read_partition
from jobs.mapping import Mapping
from jobs.stage import Context

_SCHEMA = "source_file string, row_number bigint, mended map<string, string>"


@dataclass(frozen=True, kw_only=True)
class MendedRow:
    """Source columns of one landed row with what they are to hold, as text; None for null. The others stay as they landed."""

    source_file: str
    row_number: int
    values: dict[str, str | None]


def as_text(value: Any) -> str | None:
    """A JSON value as a text format would spell it."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def read_landed(context: Context, partition: Partition, mapping: Mapping) -> Landed:
    """The rows of ``partition``, lazily, with what was mended. Raises JobError where a file is not what its name says."""
    landed = read_partition(context.spark, partition, mapping.csv)
    return replace(landed, mended=_frame(context, mended_rows(context, partition, mapping)))


def mended_rows(context: Context, partition: Partition, mapping: Mapping) -> list[MendedRow]:
    """What was mended of ``partition`` as it is now."""
    if not (context.places.mended / partition.table).is_dir():
        return []  # nothing of its table was ever mended, which spares a look at the landed bytes
    file = _file(context, partition, mapping)
    lines = file.read_text(encoding="utf-8").split("\n") if file.is_file() else []
    return [MendedRow(**json.loads(line)) for line in lines if line]


def mended_digest(context: Context, partition: Partition, mapping: Mapping) -> str | None:
    """Digest of what was mended of ``partition``; None where nothing was."""
    rows = mended_rows(context, partition, mapping)
    return digest_of(*[vars(row) for row in rows]) if rows else None


def keep_mended(context: Context, partition: Partition, mapping: Mapping, rows: Iterable[MendedRow]) -> None:
    """Keep ``rows`` beside what was mended before; the newer one of a place counts."""
    file = _file(context, partition, mapping)
    by_place = {(row.source_file, row.row_number): row for row in [*mended_rows(context, partition, mapping), *rows]}
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_suffix(".new")
    written.write_text("".join(json.dumps(vars(row)) + "\n" for _, row in sorted(by_place.items())), encoding="utf-8")
    os.replace(written, file)


def _file(context: Context, partition: Partition, mapping: Mapping) -> Path:
    """By content, and by how CSV is read: a row number says nothing in other files, nor where lines are told apart otherwise."""
    name = digest_of(partition.label, mapping.csv.model_dump(), content_digest(context.spark, partition))
    return context.places.mended / partition.table / f"{name}.jsonl"


def _frame(context: Context, rows: list[MendedRow]) -> DataFrame | None:
    if not rows:
        return None
    return context.spark.createDataFrame([(row.source_file, row.row_number, row.values) for row in rows], _SCHEMA)
