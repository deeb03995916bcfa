"""The only Delta I/O: reads by contract, atomic partition replacement, appends.

Frames go through Spark. Rows that the driver itself holds (the ledger, encoder versions) and facts about a table (does it exist,
its version) go through delta-rs: milliseconds where a Spark job takes a second, and a stage asks its ledger several times.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Any, NamedTuple, cast, overload

import deltalake
import pyarrow as pa
from delta.tables import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from pyarrow.parquet import filters_to_expression
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from jobs.errors import JobError, VersionGoneError
from jobs.places import Places
from jobs.storage_faults import writing
from schemas.contracts import CONTRACTS
from schemas.upkeep import KEPT_DAYS

Where = Mapping[str, date | str]
"""Columns and the values that rows must have there."""

_COMMIT_VERSION = "spark.databricks.delta.lastCommitVersionInSession"


class _Held(NamedTuple):
    """The rows of a small table at ``version``; ``log`` may have moved on."""

    log: deltalake.DeltaTable
    version: int
    rows: pa.Table


class Tables:
    """The warehouse's tables. A table that was never written reads as an empty frame of its contract."""

    def __init__(self, spark: SparkSession, places: Places) -> None:
        self._spark = spark
        self._places = places
        self._held: dict[str, _Held] = {}
        self._ours: set[str] = set()

    def exists(self, table: str) -> bool:
        """Whether ``table`` was ever written. Raises JobError where what lies in its place is not a table of its contract."""
        if table not in self._ours and deltalake.DeltaTable.is_deltatable(self._places.table(table)):
            self._refuse_foreign(table)
            self._ours.add(table)
        return table in self._ours

    def _refuse_foreign(self, table: str) -> None:
        place = self._places.table(table)
        try:
            fields = json.loads(deltalake.DeltaTable(place).schema().to_json())["fields"]
        except DeltaError as error:
            hint = "restore the folder's _delta_log; the data files alone are no table"
            raise JobError("UNREADABLE_TABLE", "a Delta log cannot be read", table=table, expected=place, got=error, hint=hint) from error
        wanted, got = _plain_types(json.loads(_spark_schema(table).json())["fields"]), _plain_types(fields)
        other = sorted(name for name, type in wanted.items() if got.get(name) != type)
        if all(name not in got and not CONTRACTS[table].column(name).required for name in other):
            self._add_columns(table, other)
        elif other:
            raise JobError(
                "FOREIGN_TABLE", "a table of another schema lies where this one belongs", table=table, column=", ".join(other),
                expected=", ".join(f"{name} {wanted[name]}" for name in other),
                got=", ".join(f"{name} {type}" for name, type in got.items()),
                hint=f"name another --warehouse, or move {place} away",
            )  # fmt: skip

    def _add_columns(self, table: str, columns: Sequence[str]) -> None:
        """Optional columns that the contract got after the table was made: null in the rows that it holds."""
        fields = [field for field in deltalake.Schema.from_json(_spark_schema(table).json()).fields if field.name in columns]
        if fields:
            with self._writing(table):
                deltalake.DeltaTable(self._places.table(table)).alter.add_columns(fields)

    def read(self, table: str, *, version: int | None = None) -> DataFrame:
        """All rows of ``table``, as of Delta ``version`` where one is given.

        Raises VersionGoneError where that version can be read no more (``schemas/upkeep.py`` says how long it can).
        """
        if not self.exists(table):
            return self._spark.createDataFrame([], CONTRACTS[table].ddl)
        reader = self._spark.read.format("delta")
        if version is None:
            return reader.load(self._places.table(table)).select(*CONTRACTS[table].names)
        try:
            return reader.option("versionAsOf", version).load(self._places.table(table)).select(*CONTRACTS[table].names)
        except AnalysisException as error:
            raise VersionGoneError(
                "VERSION_GONE", "an older version of the table can be read no more", table=table, partition=f"version {version}",
                expected=f"a version of the last {KEPT_DAYS[table]} days", got=str(error).partition("\n")[0],
            ) from error  # fmt: skip

    def read_where(self, table: str, where: Where, *, version: int | None = None) -> DataFrame:
        """The rows of ``table`` that equal ``where``."""
        return self.read(table, version=version).where(_predicate(where))

    def days(self, table: str, space_id: str | None = None) -> list[date]:
        """The days of which ``table`` (partitioned by ds) has rows, in ``space_id`` where one is given; ascending. From its log alone."""
        found = deltalake.DeltaTable(self._places.table(table)).partitions() if self.exists(table) else []
        return sorted({date.fromisoformat(part["ds"]) for part in found if space_id in (None, part.get("space_id"))})

    def version(self, table: str) -> int:
        """The newest Delta version of ``table``, -1 where it was never written."""
        return deltalake.DeltaTable(self._places.table(table)).version() if self.exists(table) else -1

    @overload
    def replace(self, frame: DataFrame, table: str, where: Where) -> int: ...

    @overload
    def replace(self, frame: DataFrame, table: str, where: Where, *, once: tuple[str, int]) -> int | None: ...

    def replace(self, frame: DataFrame, table: str, where: Where, *, once: tuple[str, int] | None = None) -> int | None:
        """Replace the rows that equal ``where`` by ``frame``, in one commit; its version.

        An empty frame empties the partition. Raises JobError where ``frame`` does not have the contract's columns.
        Delta refuses a row of ``frame`` outside ``where``.

        Args:
            once: (transaction, number): where this or a greater number of the transaction was committed before, nothing is
                written and the result is None, also when the two meet at the same moment.
        """
        return self._overwrite(frame, table, _predicate(where), once)

    def replace_where(self, frame: DataFrame, table: str, predicate: str) -> int:
        """As ``replace``, for a predicate in Delta's SQL (a range of days, say)."""
        version = self._overwrite(frame, table, predicate, None)
        assert version is not None  # only a numbered transaction may write nothing
        return version

    def _overwrite(self, frame: DataFrame, table: str, predicate: str, once: tuple[str, int] | None) -> int | None:
        writer = self._writer(frame, table).mode("overwrite").option("replaceWhere", predicate)
        if once is not None:
            writer = writer.option("txnAppId", once[0]).option("txnVersion", once[1])
        self._spark.conf.unset(_COMMIT_VERSION)
        with self._writing(table):
            writer.save(self._places.table(table))
        committed = self._spark.conf.get(_COMMIT_VERSION, None)
        if committed is None and once is None:  # no rows before, none now: Delta leaves out a commit that changes nothing
            return self.version(table)
        return None if committed is None else int(committed)

    def append(self, frame: DataFrame, table: str) -> int:
        """Append ``frame`` in one commit; its version."""
        writer = self._writer(frame, table).mode("append")
        with self._writing(table):
            writer.save(self._places.table(table))
        return self._committed()

    def insert_new(self, frame: DataFrame, table: str, where: Where | None = None) -> int:
        """Append the rows of ``frame`` whose key the table does not hold, in one commit; its version.

        For immutable rows: a row that exists stays as it is, also where two writers bring it at once. ``frame`` must
        hold each key once. ``where`` names the partition that all rows lie in: writers of other partitions then do
        not conflict.
        """
        if not self.exists(table):  # so that two first writers meet in the MERGE as well
            self.append(self._spark.createDataFrame([], CONTRACTS[table].ddl), table)
        literal = [f"t.`{name}` = {_literal(value)}" for name, value in (where or {}).items()]
        same_key = " AND ".join([*literal, *[f"t.`{name}` <=> s.`{name}`" for name in CONTRACTS[table].key]])
        target = DeltaTable.forPath(self._spark, self._places.table(table))
        self._writer(frame, table)  # the contract check
        with self._writing(table):
            target.alias("t").merge(frame.alias("s"), same_key).whenNotMatchedInsertAll().execute()
        return self._committed()

    def compact(self, table: str) -> None:
        """Join small files; the rows stay as they are."""
        DeltaTable.forPath(self._spark, self._places.table(table)).optimize().executeCompaction()

    def vacuum(self, table: str, keep_days: int) -> None:
        """Remove the files that no version of the last ``keep_days`` days needs."""
        DeltaTable.forPath(self._spark, self._places.table(table)).vacuum(keep_days * 24)

    def remove_runs(self, table: str, run_ids: Collection[str]) -> None:
        """Remove what ``run_ids`` staged in ``table``, whole partitions of it."""
        if run_ids:
            DeltaTable.forPath(self._spark, self._places.table(table)).delete(F.col("run_id").isin(*run_ids))

    def append_rows(self, rows: Sequence[Mapping[str, Any]], table: str) -> None:
        """Append rows that the driver holds, in one commit; a column that a row lacks is null. Times carry a zone."""
        data, partition_by = _arrow_rows(rows, table), list(CONTRACTS[table].partition_by)
        with self._writing(table):
            deltalake.write_deltalake(self._places.table(table), data, mode="append", partition_by=partition_by)
        self._hold_too(data, table)

    def change_rows(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], table: str) -> None:
        """Replace all rows of a small table by what ``change`` makes of them, in one commit.

        A row that another writer appends meanwhile stays. Raises JobError ROWS_MOVED, and writes nothing, where one changed them.
        """
        read = deltalake.DeltaTable(self._places.table(table))
        data = _arrow_rows(change(_as_records(read.to_pyarrow_table())), table)
        try:
            with self._writing(table):
                deltalake.write_deltalake(read, data, mode="overwrite")
        except CommitFailedError as error:
            hint = "run it again"
            raise JobError("ROWS_MOVED", "another run changed the table meanwhile", table=table, got=error, hint=hint) from error

    def rows(self, table: str, filters: Sequence[tuple[str, str, Any]] = ()) -> list[dict[str, Any]]:
        """The rows of ``table`` that fulfil all ``filters`` (column, operator, value), on the driver: for small tables only.

        Times are UTC with their zone, maps are dictionaries.
        """
        if not self.exists(table):
            return []
        held = self._rows_held(table)
        return _as_records(held.filter(filters_to_expression(list(filters))) if filters else held)

    def _rows_held(self, name: str) -> pa.Table:
        """All rows of a table, read once a version: a stage asks its ledger a dozen times, and writes to it twice."""
        held = self._held.get(name)
        if held and not _caught_up(held.log):
            held = None
        log = held.log if held else deltalake.DeltaTable(self._places.table(name))
        if held is None or held.version != log.version():
            held = self._held[name] = _Held(log, log.version(), log.to_pyarrow_table().combine_chunks())
        return held.rows

    def _hold_too(self, appended: pa.Table, name: str) -> None:
        """Add rows just committed to those that are held. Only where theirs is the one commit since: else another writer's is missing."""
        held = self._held.get(name)
        if held is None or not _caught_up(held.log):
            self._held.pop(name, None)
            return
        if held.log.version() == held.version + 1:
            rows = appended.select(held.rows.column_names).cast(held.rows.schema)
            self._held[name] = _Held(held.log, held.log.version(), pa.concat_tables([held.rows, rows]).combine_chunks())

    def _writer(self, frame: DataFrame, table: str) -> Any:
        contract = CONTRACTS[table]
        got = {field.name: field.dataType.simpleString() for field in frame.schema}
        wanted = {field.name: field.dataType.simpleString() for field in _spark_schema(table)}
        if got != wanted:
            raise JobError(
                "CONTRACT_MISMATCH", "a frame does not fit its table", table=table, expected=wanted, got=got,
                hint="a transform and schemas/contracts disagree: a fault of the code, not of the data",
            )  # fmt: skip
        writer = frame.select(*contract.names).write.format("delta").partitionBy(*contract.partition_by)
        if not self.exists(table):  # properties of a table are set when it is made
            kept = f"interval {KEPT_DAYS[table]} days"
            writer = writer.option("delta.deletedFileRetentionDuration", kept)
        return writer

    def _writing(self, table: str) -> AbstractContextManager[None]:
        return writing(table, self._places.table(table))

    def _committed(self) -> int:
        return int(self._spark.conf.get(_COMMIT_VERSION) or -1)


def _caught_up(log: deltalake.DeltaTable) -> bool:
    """Read the commits since, where opening the table would read them all. False: its log went back, as after a restore."""
    try:
        log.update_incremental()
    except DeltaError:
        return False
    return True


def _predicate(where: Where) -> str:
    return " AND ".join(f"`{name}` = {_literal(value)}" for name, value in where.items())


def _literal(value: date | str) -> str:
    if isinstance(value, date):
        return f"DATE'{value.isoformat()}'"
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _as_records(rows: pa.Table) -> list[dict[str, Any]]:
    maps = [field.name for field in rows.schema if pa.types.is_map(field.type)]
    return [{**row, **{name: dict(row[name] or ()) for name in maps}} for row in rows.to_pylist()]


def _arrow_rows(rows: Sequence[Mapping[str, Any]], table: str) -> pa.Table:
    values = [{name: _as_arrow(row.get(name)) for name in CONTRACTS[table].names} for row in rows]
    return pa.Table.from_pylist(values, _arrow_schema(table))


def _arrow_schema(table: str) -> pa.Schema:
    """The contract's columns; times in microseconds, UTC."""
    return to_arrow_schema(_spark_schema(table), timezone="UTC")


def _spark_schema(table: str) -> StructType:
    return cast(StructType, StructType.fromDDL(CONTRACTS[table].ddl))


def _plain_types(fields: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Column types by name, of a schema as Delta and Spark write it; what may be null is left out."""
    return {field["name"]: _plain_type(field["type"]) for field in fields}


def _plain_type(type: Any) -> str:
    if isinstance(type, str):
        return type
    inner = [type[part] for part in ("elementType", "keyType", "valueType") if part in type]
    return f"{type['type']}<{', '.join(map(_plain_type, inner))}>"


def _as_arrow(value: Any) -> Any:
    return list(value.items()) if isinstance(value, Mapping) else value
