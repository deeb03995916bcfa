"""Readers of the landing formats: Parquet, Delta, JSON lines and CSV, all into one shape.

Every reader returns flat frames: the source's columns as they are, and the columns of ``PLACE``. Text is read line by line as
bytes, so that a broken line is one refused row and keeps its bytes.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from jobs.errors import JobError
from jobs.hadoop_files import StoredFile, first_line, literal
from jobs.mapping import CsvFormat
from schemas import reasons

PARQUET, DELTA, JSON, CSV = "parquet", "delta", "json", "csv"
DELTA_LOG = "_delta_log"

_EXTENSIONS = {".parquet": PARQUET, ".json": JSON, ".jsonl": JSON, ".ndjson": JSON, ".csv": CSV}
_COMPRESSED = re.compile(r"\.(gz|bz2|zst|snappy|lz4|deflate)$")

FILE, ROW, PROBLEM, RAW = "__file", "__row", "__problem", "__raw"
PLACE = (FILE, ROW, PROBLEM, RAW)
"""Beside the source's columns: path and row (from 0) in that file, why it could not be parsed (else null), and its bytes then."""
_BLOCK, _ORDER, _LINE, _CORRUPT = "__block", "__order", "__line", "__corrupt"


@dataclass(frozen=True, kw_only=True)
class Source:
    """What to read: the files (for Delta, the folder), how text is written, and where for the messages."""

    files: tuple[StoredFile, ...]
    folder: str
    csv: CsvFormat
    table: str
    label: str


def format_of(name: str) -> str | None:
    """The format that a file's name ends in, compression aside; None where it is none of ours."""
    plain = _COMPRESSED.sub("", name.lower())
    return next((format for extension, format in _EXTENSIONS.items() if plain.endswith(extension)), None)


def reader_of(format: str) -> Callable[[SparkSession, Source], DataFrame]:
    """The reader of ``format``; see the module for the shape that it returns."""
    return {PARQUET: _read_parquet, DELTA: _read_delta, JSON: _read_json, CSV: _read_csv}[format]


def _paths(source: Source) -> list[str]:
    return [literal(file.path) for file in source.files]


def _read_parquet(spark: SparkSession, source: Source) -> DataFrame:
    # Files that differ in their columns are merged by name; one file needs no second look.
    frame = spark.read.option("mergeSchema", len(source.files) > 1).parquet(*_paths(source))
    return frame.select("*", F.col("_metadata.file_path").alias(FILE), F.col("_metadata.row_index").alias(ROW), *_unproblematic())


def _read_delta(spark: SparkSession, source: Source) -> DataFrame:
    frame = spark.read.format(DELTA).load(source.folder)
    return _numbered(frame.select("*", *_position(), *_unproblematic()))


def _read_json(spark: SparkSession, source: Source) -> DataFrame:
    """One object a line; every value as text. Keys are looked up first, so that a missing column is told from a null."""
    lines = _lines(spark, _paths(source))
    keys = lines.where(F.is_valid_utf8(_LINE)).select(F.explode(F.json_object_keys(_LINE)).alias("key")).distinct().collect()
    columns = sorted(row["key"] for row in keys)
    _refuse_twins(columns, source)
    schema = _text_schema(columns)
    parsed = F.from_json(_LINE, schema, {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": _CORRUPT})
    malformed = F.col("__p").isNull() | F.col("__p")[_CORRUPT].isNotNull()
    return _parsed(_numbered(lines).withColumn("__p", parsed), schema, malformed)


def _read_csv(spark: SparkSession, source: Source) -> DataFrame:
    """Every value as text. Files are read by header, so that another order of columns in another file does no harm."""
    by_header: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for file in source.files:
        by_header[_header(first_line(spark, file), source)].append(literal(file.path))
    read = _read_csv_files if source.csv.multiline else _read_csv_lines
    frames = [read(spark, paths, header, source.csv) for header, paths in by_header.items() if header]
    if not frames:
        return _lines(spark, _paths(source)).limit(0).select(*_position_names(), *_unproblematic())
    return reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), frames)


def _header(line: str, source: Source) -> tuple[str, ...]:
    """The column names in a header line; ``_c<i>`` where one is blank.

    Raises JobError where two are the same (their case aside), or where the line is no UTF-8.
    """
    if "\ufffd" in line or "\x00" in line:
        raise JobError(
            "NOT_UTF8", "a header is not UTF-8", table=source.table, partition=source.label, expected="UTF-8", got=repr(line[:40]),
            hint="UTF-16, as spreadsheets export it, has to be written anew as UTF-8",
        )  # fmt: skip
    form = source.csv
    doubled = form.escape == form.quote
    escape = None if doubled else form.escape
    reader = csv.reader([line], delimiter=form.delimiter, quotechar=form.quote, doublequote=doubled, escapechar=escape)
    fields = next(reader, [])
    columns = tuple(field.strip() or f"_c{index}" for index, field in enumerate(fields))
    _refuse_twins(columns, source)
    return columns


def _refuse_twins(columns: Sequence[str], source: Source) -> None:
    """Raises JobError where two columns have one name; Spark does not tell apart what differs in its case alone."""
    lower = [column.lower() for column in columns]
    twice = sorted({column for column in columns if lower.count(column.lower()) > 1})
    if twice:
        raise JobError(
            "DUPLICATE_COLUMN", "two columns have one name", table=source.table, column=", ".join(twice), partition=source.label,
            expected="every name once", got=", ".join(columns), hint="names that differ in their case alone count as one",
        )  # fmt: skip


def _read_csv_lines(spark: SparkSession, paths: Sequence[str], header: Sequence[str], form: CsvFormat) -> DataFrame:
    lines = _numbered(_lines(spark, paths)).where(F.col(ROW) > 0).withColumn(ROW, F.col(ROW) - 1)
    schema = _text_schema(header)
    options = {**_csv_options(form), "columnNameOfCorruptRecord": _CORRUPT}
    parsed = F.from_csv(F.col(_LINE), _ddl(schema), options)
    malformed = F.col("__p").isNull() | F.col("__p")[_CORRUPT].isNotNull()
    if form.escape == form.quote:
        malformed = malformed | ~F.col(_LINE).rlike(_closed_quotes(form))
    return _parsed(lines.withColumn("__p", parsed), schema, malformed)


def _read_csv_files(spark: SparkSession, paths: Sequence[str], header: Sequence[str], form: CsvFormat) -> DataFrame:
    """Quoted line breaks allowed. Read as Latin-1, which maps every byte to one character and back, so that bytes survive."""
    reader = spark.read.schema(_ddl(_text_schema(header))).options(**_csv_options(form))
    reader = reader.options(header=True, multiLine=True, encoding="ISO-8859-1", columnNameOfCorruptRecord=_CORRUPT)
    frame = _numbered(reader.csv(list(paths)).select("*", *_position()))
    raw = F.encode(F.col(_CORRUPT), "ISO-8859-1")
    texts = [F.encode(_column(name), "ISO-8859-1").cast("string").alias(name) for name in header]
    problem = F.when(raw.isNotNull(), F.lit(reasons.MALFORMED_ROW))
    return frame.select(*texts, FILE, ROW, problem.alias(PROBLEM), raw.alias(RAW))


def _csv_options(form: CsvFormat) -> dict[str, str]:
    return {"sep": form.delimiter, "quote": form.quote, "escape": form.escape, "mode": "PERMISSIVE"}


def _closed_quotes(form: CsvFormat) -> str:
    """Matches a line whose fields hold no quote, or are quoted as a whole: the rest of a broken field never passes as a row.

    Possessive: linear time, and a flat stack on long fields.
    """
    quote, sep = re.escape(form.quote), re.escape(form.delimiter)
    field = f"(?:{quote}(?:[^{quote}]++|{quote}{quote})*+{quote}|[^{quote}{sep}]*+)"
    return f"^{field}(?:{sep}{field})*+$"


def _lines(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    """Lines that are not blank, without a byte order mark, in their files' order."""
    line = F.expr("trim(LEADING '\ufeff' FROM value)")
    return spark.read.text(list(paths)).select(line.alias(_LINE), *_position()).where(F.trim(_LINE) != "")


def _position() -> list[Column]:
    metadata = F.col("_metadata")
    return [metadata["file_path"].alias(FILE), metadata["file_block_start"].alias(_BLOCK), F.monotonically_increasing_id().alias(_ORDER)]


def _position_names() -> list[Column]:
    return [F.col(FILE), F.col(_ORDER).alias(ROW)]


def _numbered(frame: DataFrame) -> DataFrame:
    """With ROW, counted from 0 in the order of the file, in place of the position columns."""
    in_file = Window.partitionBy(FILE).orderBy(_BLOCK, _ORDER)
    return frame.withColumn(ROW, (F.row_number().over(in_file) - 1).cast("bigint")).drop(_BLOCK, _ORDER)


def _parsed(lines: DataFrame, schema: StructType, malformed: Column) -> DataFrame:
    problem = F.when(~F.is_valid_utf8(_LINE), F.lit(reasons.NOT_UTF8)).when(malformed, F.lit(reasons.MALFORMED_ROW))
    judged = lines.withColumn(PROBLEM, problem)
    raw = F.when(F.col(PROBLEM).isNotNull(), F.col(_LINE).cast("binary"))
    values = [F.col("__p")[field.name].alias(field.name) for field in schema if field.name != _CORRUPT]
    return judged.select(*values, FILE, ROW, PROBLEM, raw.alias(RAW))


def _unproblematic() -> list[Column]:
    return [F.lit(None).cast("string").alias(PROBLEM), F.lit(None).cast("binary").alias(RAW)]


def _text_schema(columns: Sequence[str]) -> StructType:
    return StructType([StructField(name, StringType()) for name in (*columns, _CORRUPT)])


def _ddl(schema: StructType) -> str:
    return ", ".join(f"`{field.name.replace('`', '``')}` string" for field in schema)


def _column(name: str) -> Column:
    return F.col(f"`{name.replace('`', '``')}`")
