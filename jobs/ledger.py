"""The run ledger: one home for what happened to (job, ds, space), append-only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.tables import Tables
from schemas import names

SETTLED = (names.DONE, names.UNCHANGED)


@dataclass(frozen=True, kw_only=True)
class LedgerRow:
    """One row of run_ledger; see ``schemas.contracts.operations`` for the columns."""

    run_id: str
    job: str
    ds: date
    space_id: str
    attempt: int
    status: str
    at: datetime
    counts: Mapping[str, int] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    input_digest: str | None = None
    output_digest: str | None = None
    versions: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None

    @property
    def settled(self) -> bool:
        """Whether the day's result stands: done, or found unchanged."""
        return self.status in SETTLED


class Ledger:
    """Reads and appends. The newest row of (job, ds, space) is the one with the greatest (attempt, at)."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def append(self, *rows: LedgerRow) -> None:
        """Append ``rows`` in one commit."""
        self._tables.append_rows([_as_record(row) for row in rows], names.RUN_LEDGER)

    def rows(self, job: str, space_id: str = "", *, until: date | None = None) -> list[LedgerRow]:
        """All rows of (job, space) with ds <= ``until``, oldest attempt first."""
        frame = self._of(job, space_id)
        return _collected(frame if until is None else frame.where(F.col("ds") <= F.lit(until)))

    def states(self, job: str, space_id: str = "", *, until: date | None = None) -> dict[date, LedgerRow]:
        """The newest row a day of (job, space), days <= ``until``."""
        return {row.ds: row for row in self.rows(job, space_id, until=until)}

    def state(self, job: str, ds: date, space_id: str = "") -> LedgerRow | None:
        """The newest row of (job, ds, space), or None."""
        rows = _collected(self._of(job, space_id).where(F.col("ds") == F.lit(ds)))
        return rows[-1] if rows else None

    def _of(self, job: str, space_id: str) -> DataFrame:
        return self._tables.read(names.RUN_LEDGER).where((F.col("job") == job) & (F.col("space_id") == space_id))


def _collected(frame: DataFrame) -> list[LedgerRow]:
    """The rows of ``frame``, oldest attempt first."""
    found = [_from_record(record.asDict(recursive=True)) for record in frame.collect()]
    return sorted(found, key=lambda row: (row.ds, row.attempt, row.at))


def _as_record(row: LedgerRow) -> dict[str, object]:
    record = {name: getattr(row, name) for name in row.__dataclass_fields__}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in record.items()}


def _from_record(record: dict[str, object]) -> LedgerRow:
    return LedgerRow(**{name: value for name, value in record.items() if value is not None})  # type: ignore[arg-type]
