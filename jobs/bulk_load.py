"""Bulk load: a history in one read and one commit. It declares that every row arrived when it happened."""

import logging
import time
import traceback
from collections import Counter
from collections.abc import Mapping as Lookup
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from pyspark.sql import functions as F

from jobs.error_budget import blocked_counts, refuse_over_budget
from jobs.errors import GateBlockedError, JobError, UsageError
from jobs.ingest import JOB_OF, IngestOptions, judged_rows, load_details, load_digest, refused_of, written_of
from jobs.landing import Partition, find_partition, reading
from jobs.landing_images import LANDING
from jobs.ledger import LedgerRow
from jobs.mended import read_landed
from jobs.quarantine import days_predicate, replace_quarantine_days
from jobs.stage import Context, details_of, exit_code
from jobs.tally import Tally, check_nothing_lost, tally_days
from jobs.transforms.arrivals import BulkArrival
from schemas import names

log = logging.getLogger("karma.ingest")

ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
"""From when a version of a bulk load holds whose source does not say."""
_LOAD, _BULK = "load", "bulk"


@dataclass(kw_only=True)
class _Load:
    """What one bulk load works with.

    Attributes:
        states: the job's newest ledger row a day, whose number the next attempt follows.
        standing: the row a day that says what the table holds.
        day: the day that the ledger files the load's start and failure under: the last of its range, once that is known.
        details: what the rows of the load say of its files; its failure says so too, once the range is known.
        tallies: of its days, once they are known.
    """

    context: Context
    table: str
    options: IngestOptions
    states: Lookup[date, LedgerRow]
    standing: Lookup[date, LedgerRow]
    day: date
    details: Lookup[str, str] = field(default_factory=dict)
    tallies: Lookup[date, Tally] = field(default_factory=dict)

    @property
    def job(self) -> str:
        return JOB_OF[self.table]

    def row(self, ds: date, status: str, **facts: object) -> LedgerRow:
        state = self.states.get(ds)
        return LedgerRow(
            run_id=self.context.run_id, job=self.job, ds=ds, space_id="", attempt=state.attempt + 1 if state else 1,
            status=status, at=self.context.now(), **facts,  # type: ignore[arg-type]
        )  # fmt: skip

    def days_before(self, partition: Partition) -> list[date]:
        """The days that an earlier bulk load of the same partition covered."""
        return sorted(ds for ds, row in self.standing.items() if self._is_mine(row, partition))

    def landed_days(self, days: Sequence[date]) -> list[date]:
        """Those of ``days`` whose rows came with a landing partition of their own; a partition without rows says nothing."""
        rows = [self.standing[ds] for ds in days if ds in self.standing]
        return [row.ds for row in rows if row.details.get(_LOAD) != _BULK and not (row.settled and row.counts.get("read") == 0)]

    def stands(self, partition: Partition, digest: str) -> bool:
        """Whether every day that a load of ``digest`` wrote is as it left it, and no later load of the partition broke."""
        wrote = {row.ds for row in self.context.ledger.rows(self.job) if row.settled and row.input_digest == digest}
        untouched = all(self.standing[ds].settled and self.standing[ds].input_digest == digest for ds in wrote)
        return untouched and all(row.settled for row in self.standing.values() if self._is_mine(row, partition))

    def _is_mine(self, row: LedgerRow, partition: Partition) -> bool:
        return {_LOAD: _BULK, LANDING: partition.label}.items() <= row.details.items()


def bulk_load(context: Context, table: str, options: IngestOptions) -> list[LedgerRow]:
    """Load ``<landing>/<table>/bulk/``, or ``options.source``, and return the ledger rows that say so. Never raises a JobError.

    ds of an event, impression or request is its own UTC day; all items get one ds (``options.bulk_ds``, else ``options.last``, else the
    newest day of the bulk load of events). One commit replaces the days from the first to the last: the declared ones, or those
    found and those that an earlier load of the same files had. A range with days that landed by themselves is refused, unless
    a recompute was asked for: their rows would go. Every one of these days gets a ledger row, ``done``. Where
    nothing changed, one row says ``unchanged`` and nothing is written.
    """
    day = options.last or options.bulk_ds or context.run_at.date()
    states, standing = context.ledger.states(JOB_OF[table]), context.ledger.standings(JOB_OF[table])
    load = _Load(context=context, table=table, options=options, states=states, standing=standing, day=day)
    began = time.monotonic()
    try:
        rows = _load(load, began)
    except GateBlockedError as error:
        log.error("%s bulk: %s", load.job, error)
        rows = [  # the refused rows of every day are in quarantine
            load.row(ds, error.status, reason=str(error), counts=blocked_counts(tally), details=load.details)
            for ds, tally in sorted(load.tallies.items())
        ]
    except JobError as error:
        log.error("%s bulk: %s", load.job, error)
        facts = {"counts": error.counts, "durations": {"total": time.monotonic() - began}, "details": {**load.details, **details_of(error)}}
        rows = [load.row(load.day, error.status, reason=str(error), **facts)]
    except Exception as error:
        reason = "".join(traceback.format_exception_only(error)).strip()[:2000]
        context.ledger.append(load.row(load.day, names.FAILED, reason=reason, details=load.details))
        raise
    context.ledger.append(*rows)
    log.info("%s bulk: %s, %d days from %s to %s", load.job, rows[-1].status, len(rows), rows[0].ds, rows[-1].ds)
    return rows


def bulk_exit_code(rows: list[LedgerRow]) -> int:
    """The process exit code of a bulk load."""
    return next((code for code in map(exit_code, rows) if code != names.EXIT_DONE), names.EXIT_DONE)


def _load(load: _Load, began: float) -> list[LedgerRow]:
    context, options = load.context, load.options
    partition = find_partition(context.spark, context.places, load.table, None, options.source)
    items_ds = _items_day(load, partition) if load.table == names.ITEMS else load.day
    digest = load_digest(context, partition, options, items_ds if load.table == names.ITEMS else None)
    same = [row for _, row in sorted(load.standing.items()) if row.settled and row.input_digest == digest]
    if same and load.stands(partition, digest) and not context.recompute:
        last = same[-1]
        facts = {name: getattr(last, name) for name in ("input_digest", "output_digest", "counts", "versions", "details")}
        return [load.row(last.ds, names.UNCHANGED, **facts)]
    tallies, version = _write(load, partition, items_ds, digest)
    seconds = {"total": time.monotonic() - began}
    return [
        load.row(
            ds, names.DONE, input_digest=digest, output_digest=tally.digest, counts=tally.counts, versions={load.table: version},
            details=load.details, durations=seconds,
        )
        for ds, tally in sorted(tallies.items())
    ]  # fmt: skip


def _items_day(load: _Load, partition: Partition) -> date:
    """The one arrival day of all items. Raises UsageError where nothing says it."""
    chosen = load.options.bulk_ds or load.options.last
    if chosen is not None:
        return chosen
    before = load.days_before(partition)
    if before:
        return before[-1]
    events = load.context.ledger.standings(names.INGEST_EVENTS_JOB)
    days = [ds for ds, row in events.items() if row.details.get(_LOAD) == _BULK and row.counts.get("written")]
    if not days:
        raise UsageError(
            "NO_BULK_DAY", "nothing says on which day the items arrive", table=load.table, partition=partition.label,
            expected="--bulk-ds, --ds-to, or a bulk load of events before", hint="name the day before the first daily partition",
        )  # fmt: skip
    return max(days)


def _write(load: _Load, partition: Partition, items_ds: date, digest: str) -> tuple[dict[date, Tally], int]:
    """Write the load; a tally for every day of its range, and the commit's version."""
    context, options, table = load.context, load.options, load.table
    landed = read_landed(context, partition, options.mapping)
    arrival = BulkArrival(first=options.first, last=options.last, now=context.run_at)
    with judged_rows(context, landed, options, arrival, items_ds=items_ds, valid_from=ALWAYS) as judged:
        with reading(partition):
            found = tally_days(judged, table)
        check_nothing_lost(landed.rows.count(), sum(tally.judged for tally in found.values()), table, partition.label)
        tallies = _by_day(found, _range(load, partition, found, items_ds))
        load.tallies, days = tallies, sorted(tallies)
        _refuse_landed_days(load, partition, days)
        load.day, load.details = days[-1], {**load_details(partition, options), _LOAD: _BULK}
        context.ledger.append(load.row(load.day, names.STARTED, input_digest=digest, details=load.details))
        within = days_predicate(days)
        refused = refused_of(judged, landed, options, context.run_id)
        refused = refused.withColumn("ds", F.when(F.expr(within), F.col("ds")).otherwise(F.lit(days[0])))
        replace_quarantine_days(context, refused, load.job, table, days, sum(tally.quarantined for tally in tallies.values()))
        refuse_over_budget(_total(tallies), options.error_budget, table, partition.label)
        # A file a day, and several for a day that is large.
        written = written_of(judged, table).hint("rebalance", "ds")
        version = context.tables.replace_where(written, table, within)
    return tallies, version


def _refuse_landed_days(load: _Load, partition: Partition, days: Sequence[date]) -> None:
    landed = load.landed_days(days)
    if landed and not load.context.recompute:
        raise UsageError(
            "LANDED_DAYS", "the bulk load would replace days that landed by themselves", table=load.table, partition=partition.label,
            expected="no such day in the range", got=f"{len(landed)} of {days[0]} to {days[-1]}: {landed[0]} to {landed[-1]}",
            hint="declare the days of the bulk (--ds-from, --ds-to), or say --recompute to replace them",
        )  # fmt: skip


def _range(load: _Load, partition: Partition, found: Lookup[date | None, Tally], items_ds: date) -> list[date]:
    """Every day from the first to the last that the load covers, both inclusive."""
    options = load.options
    days = [ds for ds, tally in found.items() if ds is not None and tally.verdicts.get("")] + load.days_before(partition)
    if load.table == names.ITEMS:
        return sorted({items_ds, *days})
    if options.first is not None and options.last is not None:
        days = [options.first, options.last]
    first, last = (min(days), max(days)) if days else (items_ds, items_ds)
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def _total(tallies: Lookup[date, Tally]) -> Tally:
    verdicts: Counter[str] = Counter()
    for tally in tallies.values():
        verdicts.update(tally.verdicts)
    return Tally(verdicts=verdicts)


def _by_day(found: Lookup[date | None, Tally], days: list[date]) -> dict[date, Tally]:
    """A tally a day; rows without a day, or on a day outside, count with the first day."""
    tallies = {ds: found.get(ds, Tally()) for ds in days}
    for ds, tally in found.items():
        if ds not in tallies:
            tallies[days[0]] = tallies[days[0]].plus(tally)
    return tallies
