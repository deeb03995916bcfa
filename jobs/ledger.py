"""The run ledger: one home for what happened to (job, ds, space), append-only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from jobs.tables import Tables
from schemas import names


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
        return self.status in names.SETTLED


class Ledger:
    """Reads and appends. The newest row of (job, ds, space) is the one with the greatest (attempt, at)."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def append(self, *rows: LedgerRow) -> None:
        """Append ``rows`` in one commit."""
        self._tables.append_rows([vars(row) for row in rows], names.RUN_LEDGER)

    def rows(self, job: str, space_id: str = "", *, until: date | None = None) -> list[LedgerRow]:
        """All rows of (job, space) with ds <= ``until``, oldest attempt first."""
        return self._found(job, space_id, *([("ds", "<=", until)] if until else []))

    def states(self, job: str, space_id: str = "", *, until: date | None = None) -> dict[date, LedgerRow]:
        """The newest row a day of (job, space), days <= ``until``."""
        return {row.ds: row for row in self.rows(job, space_id, until=until)}

    def state(self, job: str, ds: date, space_id: str = "") -> LedgerRow | None:
        """The newest row of (job, ds, space), or None."""
        rows = self._found(job, space_id, ("ds", "=", ds))
        return rows[-1] if rows else None

    def _found(self, job: str, space_id: str, *filters: tuple[str, str, Any]) -> list[LedgerRow]:
        records = self._tables.rows(names.RUN_LEDGER, [("job", "=", job), ("space_id", "=", space_id), *filters])
        return sorted((LedgerRow(**_known(record)) for record in records), key=lambda row: (row.ds, row.attempt, row.at))

    def standing(self, job: str, ds: date, space_id: str = "", *, before: int | None = None) -> LedgerRow | None:
        """The row that says what the tables hold of a day: the newest of the attempts that may have written (below ``before``)."""
        rows = [row for row in self._found(job, space_id, ("ds", "=", ds)) if before is None or row.attempt < before]
        return standing_rows(rows).get(ds)

    def standings(self, job: str, space_id: str = "", *, until: date | None = None) -> dict[date, LedgerRow]:
        """``standing`` of every day of (job, space), days <= ``until``."""
        return standing_rows(self.rows(job, space_id, until=until))

    def all_rows(self, job: str) -> list[LedgerRow]:
        """All rows of ``job``, in every space, oldest first."""
        records = self._tables.rows(names.RUN_LEDGER, [("job", "=", job)])
        return sorted((LedgerRow(**_known(record)) for record in records), key=lambda row: (row.ds, row.space_id, row.attempt, row.at))

    def of_run(self, run_id: str) -> list[LedgerRow]:
        """All rows that the invocation ``run_id`` wrote, oldest first."""
        records = self._tables.rows(names.RUN_LEDGER, [("run_id", "=", run_id)])
        return sorted((LedgerRow(**_known(record)) for record in records), key=lambda row: row.at)

    def spaces(self) -> list[str]:
        """Every space that has a row, sorted."""
        return sorted({record["space_id"] for record in self._tables.rows(names.RUN_LEDGER)} - {""})


def standing_rows(rows: Iterable[LedgerRow]) -> dict[date, LedgerRow]:
    """The newest row a day, of the attempts that may have written. ``rows``: of one (job, space), oldest attempt first.

    Nothing was written by an attempt that found its input missing, nor by one that was refused before it started.
    """
    attempts: dict[tuple[date, int, str], list[LedgerRow]] = {}
    for row in rows:
        attempts.setdefault((row.ds, row.attempt, row.run_id), []).append(row)
    return {ds: found[-1] for (ds, _, _), found in attempts.items() if _may_have_written(found)}


def _may_have_written(attempt: Sequence[LedgerRow]) -> bool:
    final = attempt[-1]
    return final.settled or (final.status != names.MISSING_INPUT and any(row.status == names.STARTED for row in attempt))


def _known(record: dict[str, Any]) -> dict[str, Any]:
    """A null stands for a fact that the row does not have."""
    return {name: value for name, value in record.items() if value is not None}
