"""Mended rows: what people made of quarantined ones, read in their place for as long as the landed files are the same."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F
from pyspark.sql.types import LongType, MapType, StringType, StructField, StructType

from jobs.digests import digest_of
from jobs.landing import Landed, Partition, content_digest, read_partition
from jobs.mapping import Mapping
from jobs.stage import Context

_SCHEMA = StructType(
    [
        StructField("source_file", StringType()),
        StructField("row_number", LongType()),
        StructField("values", MapType(StringType(), StringType())),
    ]
)


@dataclass(frozen=True, kw_only=True)
class MendedRow:
    """A row in the place of a quarantined one: the source's columns, as text; None or absent is null."""

    source_file: str
    row_number: int
    values: dict[str, str | None]


def text_values(row: dict[str, Any]) -> dict[str, str | None]:
    """The values of a JSON object as a text format would spell them; what only stands for bytes (``name:base64``) is left out."""
    return {name: _text(value) for name, value in row.items() if ":" not in name}


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def read_landed(context: Context, partition: Partition, mapping: Mapping) -> Landed:
    """The rows of ``partition``, lazily, with the mended ones. Raises JobError where a file is not what its name says."""
    landed = read_partition(context.spark, partition, mapping.csv)
    return replace(landed, mended=_landed(context, landed, mended_rows(context, partition)))


def mended_rows(context: Context, partition: Partition) -> list[MendedRow]:
    """What was mended of ``partition`` as it is now."""
    file = _file(context, partition)
    if file is None or not file.is_file():
        return []
    return [MendedRow(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def mended_digest(context: Context, partition: Partition) -> str | None:
    """Digest of what was mended of ``partition``; None where nothing was."""
    rows = mended_rows(context, partition)
    return digest_of(*[vars(row) for row in rows]) if rows else None


def keep_mended(context: Context, partition: Partition, rows: Iterable[MendedRow]) -> None:
    """Keep ``rows`` beside what was mended before; the newer one of a place counts."""
    file = _named(context, partition)
    by_place = {(row.source_file, row.row_number): row for row in [*mended_rows(context, partition), *rows]}
    file.parent.mkdir(parents=True, exist_ok=True)
    written = file.with_suffix(".new")
    written.write_text("".join(json.dumps(vars(row)) + "\n" for _, row in sorted(by_place.items())), encoding="utf-8")
    os.replace(written, file)


def _file(context: Context, partition: Partition) -> Path | None:
    """The file of ``partition``; None where nothing of its table was ever mended, which spares a look at the landed bytes."""
    return _named(context, partition) if (context.places.mended / partition.table).is_dir() else None


def _named(context: Context, partition: Partition) -> Path:
    """By content: a row number says nothing in other files."""
    name = digest_of(partition.label, content_digest(context.spark, partition))
    return context.places.mended / partition.table / f"{name}.jsonl"


def _landed(context: Context, landed: Landed, rows: list[MendedRow]) -> Landed | None:
    if not rows:
        return None
    columns = sorted({*landed.types, *(name for row in rows for name in row.values)})
    frame = context.spark.createDataFrame([(row.source_file, row.row_number, row.values) for row in rows], _SCHEMA)
    # With its type a value is a text here, as in JSON lines: the contract check reads it like one.
    source = F.struct(*[F.col("values").getItem(name).alias(name) for name in columns])
    shaped = frame.select(
        source.alias("source"),
        "source_file",
        "row_number",
        F.lit(None).cast("string").alias("problem"),
        F.lit(None).cast("binary").alias("raw"),
    )
    return Landed(partition=landed.partition, rows=shaped, types=dict.fromkeys(columns, StringType()))
