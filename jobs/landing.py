"""A landing partition: found by its marker, digested by content, read as rows that know their file and row number."""

from collections.abc import Iterator
from collections.abc import Mapping as Lookup
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from jobs import hadoop_files
from jobs.digests import digest_of
from jobs.errors import InputMissingError, JobError
from jobs.hadoop_files import StoredFile
from jobs.landing_formats import DELTA, DELTA_LOG, FILE, PLACE, PROBLEM, RAW, ROW, Source, format_of, reader_of
from jobs.mapping import CsvFormat
from jobs.places import Places
from jobs.storage_faults import storage_fault
from schemas import names

BULK = "bulk"
"""Folder of a table's bulk load: ``<landing>/<table>/bulk/``."""


@dataclass(frozen=True, kw_only=True)
class Partition:
    """Files that landed together.

    Attributes:
        label: ``ds=YYYY-MM-DD``, ``bulk`` or the path that was named, for messages.
        folder: qualified path that ``source_file`` is relative to.
        files: the data files, by name; for Delta with its log.
        format: their format; None where there are no files, which is an empty day.
    """

    table: str
    label: str
    folder: str
    files: tuple[StoredFile, ...]
    format: str | None


@dataclass(frozen=True, kw_only=True)
class Landed:
    """The rows of a partition.

    Attributes:
        rows: ``source`` (a struct of the source's columns), ``source_file``, ``row_number`` (from 0), ``problem`` (a reason
            where the row could not be parsed) and ``raw`` (its bytes then). Nothing was read yet.
        types: the source's columns with their types; empty where the partition cannot tell (no files, or no rows of JSON).
        mended: source_file, row_number and ``mended``, a map of source columns to what they are to hold instead (``jobs.mended``); None
            where nothing was mended.
    """

    partition: Partition
    rows: DataFrame
    types: Lookup[str, DataType]
    mended: DataFrame | None = None


def find_partition(spark: SparkSession, places: Places, table: str, day: date | None, source: str | None = None) -> Partition:
    """The landing partition of ``day``, the bulk load where ``day`` is None, or the file or folder ``source``.

    Raises InputMissingError where the success marker, or the named source, is not there; JobError where files have an unknown
    format or mix formats.
    """
    if source is not None:
        if not hadoop_files.exists(spark, source):
            raise InputMissingError(
                "NO_SOURCE", "the named source is not there", table=table, expected=source, got="no such file",
                hint="a path is taken from the working folder; a folder's files all belong to the source",
            )  # fmt: skip
        named = _listed(spark, table, source, source)
        if not named.files and not hadoop_files.exists(spark, f"{source}/{names.SUCCESS_MARKER}"):
            raise InputMissingError(
                "NO_SOURCE", "the named folder holds no file, and no marker that it is meant to", table=table, expected=source,
                got="an empty folder", hint=f"an empty day is a folder with {names.SUCCESS_MARKER} alone",
            )  # fmt: skip
        return named
    path, label = _place(places, table, day)
    if not has_landed(spark, places, table, day):
        raise InputMissingError(
            "NO_SUCCESS_MARKER", "the landing partition is not complete", table=table, partition=label,
            expected=f"{path}/{names.SUCCESS_MARKER}", got="no such file",
            hint=f"whoever lands {table} writes {names.SUCCESS_MARKER} last; an empty day has the marker alone",
        )  # fmt: skip
    return _listed(spark, table, path, label)


def has_landed(spark: SparkSession, places: Places, table: str, day: date | None) -> bool:
    """Whether the success marker of ``day``, or of the bulk load where ``day`` is None, is there."""
    return hadoop_files.exists(spark, f"{_place(places, table, day)[0]}/{names.SUCCESS_MARKER}")


def _place(places: Places, table: str, day: date | None) -> tuple[str, str]:
    """Path and label of a landing partition."""
    if day is None:
        return f"{places.landing}/{table}/{BULK}", BULK
    return places.landing_partition(table, day.isoformat()), f"ds={day}"


def _listed(spark: SparkSession, table: str, path: str, label: str) -> Partition:
    files = hadoop_files.list_files(spark, path)
    _refuse_colons(files, table, label)
    folder = hadoop_files.qualified(spark, path)
    if len(files) == 1 and files[0].path == folder:
        folder = folder[: -len(files[0].name) - 1]
    if any(file.name.startswith(f"{DELTA_LOG}/") for file in files):
        kept = [file for file in files if not _hidden(file.name.replace(DELTA_LOG, "log", 1))]
        return Partition(table=table, label=label, folder=folder, files=tuple(kept), format=DELTA)
    kept = [file for file in files if not _hidden(file.name)]
    return Partition(table=table, label=label, folder=folder, files=tuple(kept), format=_one_format(kept, table, label))


def _refuse_colons(files: list[StoredFile], table: str, label: str) -> None:
    named = next((file.name for file in files if ":" in file.name), None)
    if named is not None:
        raise JobError(
            "FILE_NAME", "a landed file has a colon in its name", table=table, partition=label, expected="a name without one", got=named,
            hint="rename it: Hadoop takes what stands before a colon for a scheme",
        )  # fmt: skip


def _hidden(name: str) -> bool:
    """Spark's own rule: markers, logs and temporary files begin with ``_`` or ``.``."""
    return any(part.startswith(("_", ".")) for part in name.split("/"))


def _one_format(files: list[StoredFile], table: str, label: str) -> str | None:
    formats = {file.name: format_of(file.name) for file in files}
    unknown = [name for name, format in formats.items() if format is None]
    if unknown:
        raise JobError(
            "UNKNOWN_FORMAT", "a landed file has no known format", table=table, partition=label, got=unknown[0],
            expected="a Delta folder, or names that end in .parquet, .json, .jsonl, .ndjson or .csv (.gz and the like after it)",
            hint="take the file out of the folder, or start its name with _ or ., which Spark and this job pass over",
        )  # fmt: skip
    found = sorted({format for format in formats.values() if format})
    if len(found) > 1:
        got = ", ".join(found)
        raise JobError(
            "MIXED_FORMATS", "one partition mixes formats", table=table, partition=label, expected="one format", got=got,
            hint="land one format a partition; another one may have another",
        )  # fmt: skip
    return found[0] if found else None


def content_digest(spark: SparkSession, partition: Partition) -> str:
    """Digest of the files' names, sizes and bytes; touching a file changes nothing."""
    files = list(partition.files)
    contents = hadoop_files.content_digests(spark, files)
    return digest_of([(file.name, file.size, content) for file, content in zip(files, contents, strict=True)])


@contextmanager
def reading(partition: Partition) -> Iterator[None]:
    """What Spark says of a file that it cannot read, as a JobError UNREADABLE_FILE. For the first action on the rows as well:
    a header can be whole where the rows are damaged.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        if fault := storage_fault(error):
            raise fault from error
        said = str(error.java_exception.getMessage() if isinstance(error, Py4JJavaError) else error)
        raise JobError(
            "UNREADABLE_FILE", f"cannot read it as {partition.format}", table=partition.table, partition=partition.label,
            expected=f"whole {partition.format} files", got=" ".join(said.split())[:300],
            hint="it may be cut short or be another format than its name says: land it anew",
        ) from error  # fmt: skip


def read_partition(spark: SparkSession, partition: Partition, form: CsvFormat) -> Landed:
    """The rows of ``partition``, lazily. Raises JobError where a file is not what its name says."""
    if partition.format is None:
        return Landed(partition=partition, rows=_no_rows(spark), types={})
    source = Source(files=partition.files, folder=partition.folder, csv=form, table=partition.table, label=partition.label)
    with reading(partition):
        frame = reader_of(partition.format)(spark, source)
        types = {field.name: field.dataType for field in frame.schema if field.name not in PLACE}
    return Landed(partition=partition, rows=_shaped(frame, list(types), hadoop_files.uri_path(spark, partition.folder)), types=types)


def _shaped(frame: DataFrame, columns: list[str], folder_path: str) -> DataFrame:
    source = F.struct(*[F.col(f"`{name.replace('`', '``')}`") for name in columns]) if columns else F.struct(F.lit(None).alias("_"))
    return frame.select(
        source.alias("source"),
        relative_to(folder_path, FILE).alias("source_file"),
        F.col(ROW).alias("row_number"),
        F.col(PROBLEM).alias("problem"),
        F.col(RAW).alias("raw"),
    )


def relative_to(folder_path: str, column: str) -> Column:
    """The part of a URI in ``column`` after ``folder_path``, the folder's path without scheme and authority."""
    below = folder_path.rstrip("/") + "/"
    return F.substring(F.col(column), F.instr(column, below) + len(below), F.length(column))


def _no_rows(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([], "source struct<_: string>, source_file string, row_number bigint, problem string, raw binary")
