"""The life of a stage: digest the inputs, skip what is settled, ledger what happens. One home for P3 and P6."""

import logging
import time
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Never

from pyspark.sql import SparkSession

from jobs.errors import JobError
from jobs.ledger import Ledger, LedgerRow
from jobs.places import Places
from jobs.storage_faults import storage_fault
from jobs.tables import Tables
from schemas import names

log = logging.getLogger("karma.stage")


def new_run_id() -> str:
    """A name that no other run has."""
    return uuid.uuid4().hex


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a stage may touch: session, places, clock. Injected, never built inside a stage.

    Attributes:
        run_at: the clock of this invocation (UTC); created_at of what it publishes.
        run_id: names this invocation in ledger, quarantine and staged rows.
        recompute: run a settled day again, and let a simulated publication replace a live one.
    """

    spark: SparkSession
    places: Places
    run_at: datetime
    run_id: str = field(default_factory=new_run_id)
    recompute: bool = False
    started: float = field(default_factory=time.monotonic)

    @cached_property
    def tables(self) -> Tables:
        return Tables(self.spark, self.places)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.tables)

    def now(self) -> datetime:
        """The injected clock, advanced by the time that this invocation has run."""
        return self.run_at + timedelta(seconds=time.monotonic() - self.started)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a stage did to one day. ``output_digest`` covers the rows, clocks and run ids aside."""

    output_digest: str
    status: str = names.DONE
    counts: Mapping[str, int] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One job of a day.

    Attributes:
        job: its name (schemas.names).
        input_digest: digest of everything the result of a day depends on; raises InputMissingError.
        run: does the day; gets the attempt number. Raises JobError.
        space_id: the space it works in; empty where it has none.
    """

    job: str
    input_digest: Callable[[Context, date], str]
    run: Callable[[Context, date, int], Outcome]
    space_id: str = ""


def stage_that_ends_with(error: JobError, job: str) -> Stage:
    """A stage that does nothing but write ``error`` into the ledger: for a day that found no stage to run."""

    def ends(*_: object) -> Never:
        raise error

    return Stage(job=job, input_digest=ends, run=ends)


def run_stage(context: Context, stage: Stage, ds: date) -> LedgerRow:
    """Bring (stage, ds) to its state and return the ledger row that says it.

    Raises no JobError, save where the ledger itself cannot be read or written.

    A settled day whose inputs did not change is ``unchanged``, unless ``context.recompute``.
    """
    newest = context.ledger.state(stage.job, ds, stage.space_id)
    state = context.ledger.standing(stage.job, ds, stage.space_id)
    attempt = newest.attempt + 1 if newest else 1

    def row(status: str, **facts: object) -> LedgerRow:
        return LedgerRow(
            run_id=context.run_id, job=stage.job, ds=ds, space_id=stage.space_id, attempt=attempt,
            status=status, at=context.now(), **facts,  # type: ignore[arg-type]
        )  # fmt: skip

    digest = None
    began = time.monotonic()
    try:
        digest = stage.input_digest(context, ds)
        if state and state.settled and state.input_digest == digest and not context.recompute:
            final = row(
                names.UNCHANGED, input_digest=digest, output_digest=state.output_digest, counts=state.counts,
                versions=state.versions, details=state.details,
            )  # fmt: skip
        else:
            context.ledger.append(row(names.STARTED, input_digest=digest))
            outcome = stage.run(context, ds, attempt)
            durations = {**outcome.durations, "total": time.monotonic() - began}
            final = row(
                outcome.status, input_digest=digest, output_digest=outcome.output_digest, counts=outcome.counts,
                durations=durations, versions=outcome.versions, details=outcome.details,
            )  # fmt: skip
    except JobError as error:
        log.error("%s %s: %s", stage.job, ds, error)
        durations = {"total": time.monotonic() - began}
        final = row(
            error.status, input_digest=digest, reason=str(error), durations=durations, counts=error.counts, details=details_of(error)
        )
    except Exception as error:
        reason = storage_fault(error) or "".join(traceback.format_exception_only(error)).strip()[:2000]
        final = row(names.FAILED, input_digest=digest, reason=str(reason))
        context.ledger.append(final)
        raise
    context.ledger.append(final)
    log.info("%s %s: %s %s", stage.job, ds, final.status, dict(final.counts))
    return final


_EXIT = "exit_code"
"""In a row's details, where its status alone does not say it: a usage error is a failure that no retry heals."""

_EXIT_CODES = {
    names.DONE: names.EXIT_DONE,
    names.UNCHANGED: names.EXIT_DONE,
    names.MISSING_INPUT: names.EXIT_INPUT_MISSING,
    names.BLOCKED: names.EXIT_GATE_BLOCKED,
}


def details_of(error: JobError) -> dict[str, str]:
    """Details of the final row of an attempt that ended with ``error``."""
    return {**error.details, **({_EXIT: str(error.exit_code)} if error.exit_code == names.EXIT_USAGE else {})}


def exit_code(row: LedgerRow) -> int:
    """The process exit code for a final ledger row."""
    return _EXIT_CODES.get(row.status, int(row.details.get(_EXIT, names.EXIT_FAILED)))


def run_days(context: Context, stages: Sequence[Stage], days: Sequence[date]) -> int:
    """Run ``stages`` (one, or one a space) for every day in order; the exit code of the first that did not settle, else 0."""
    codes = [exit_code(run_stage(context, stage, ds)) for ds in days for stage in stages]
    return next((code for code in codes if code != names.EXIT_DONE), names.EXIT_DONE)


def utc_now() -> datetime:
    return datetime.now(UTC)
