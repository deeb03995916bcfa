"""user-histories: the newest N_max events a user as of the end of a day."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from jobs import upstream
from jobs.cli import DayArgs, context_of, run_main
from jobs.digests import digest_of, frame_digest
from jobs.errors import JobError, UsageError
from jobs.stage import Context, Outcome, Stage, run_days
from jobs.transforms.histories import advanced_histories, full_histories
from schemas import names
from schemas.contracts import CONTRACTS

CODE_VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class UserHistoriesArgs(DayArgs):
    """Build the histories of a day from the events that arrived until then."""

    n_max: int = names.DEFAULT_N_MAX
    """Events kept a user."""


def user_histories_stage(n_max: int = names.DEFAULT_N_MAX) -> Stage:
    """The stage; its result for a day is a function of all accepted events with ds <= that day.

    Raises UsageError where no event would be kept.
    """
    if n_max < 1:
        raise UsageError("N_MAX_OUTSIDE", "a history keeps at least one event", column="--n-max", expected=">= 1", got=n_max)
    return Stage(
        job=names.USER_HISTORIES_JOB,
        input_digest=lambda context, ds: _input_digest(context, ds, n_max),
        run=lambda context, ds, attempt: _run(context, ds, n_max),
    )


def _input_digest(context: Context, ds: date, n_max: int) -> str:
    return _digest(n_max, upstream.events_digest(context, ds))


def _digest(n_max: int, events_digest: str) -> str:
    return digest_of(names.USER_HISTORIES_JOB, CODE_VERSION, n_max, events_digest)


def _run(context: Context, ds: date, n_max: int) -> Outcome:
    events = context.tables.read(names.EVENTS)
    base_ds = base_day(context, ds, n_max, before=ds)
    if base_ds is None:
        frame = full_histories(events, ds, n_max)
    else:
        base = context.tables.read_where(names.USER_HISTORIES, {"ds": base_ds})
        frame = advanced_histories(base, base_ds, events, ds, n_max)
    frame = frame.persist()
    try:
        users, digest = frame_digest(frame, CONTRACTS[names.USER_HISTORIES].names)
        version = context.tables.replace(frame, names.USER_HISTORIES, {"ds": ds})
    finally:
        frame.unpersist()
    details = {"base_ds": base_ds.isoformat() if base_ds else "none", "n_max": str(n_max)}
    return Outcome(output_digest=digest, counts={"users": users}, versions={names.USER_HISTORIES: version}, details=details)


def base_day(context: Context, ds: date, n_max: int, *, before: date) -> date | None:
    """The day ahead of ``before`` to build on what is known by ``ds``, or None where all events are read.

    That is the newest day whose histories are settled and not stale: its events need not be read again. Events past
    their retention live on in such a day alone, so a recompute takes the oldest one that holds them all.
    Raises JobError EVENTS_EXPIRED where none does.
    """
    last_expired = max(_expired_days(context, ds), default=None)
    fresh = [day for day in _fresh_days(context, before, n_max) if last_expired is None or day >= last_expired]
    if last_expired is not None and not fresh:
        raise JobError(
            "EVENTS_EXPIRED", "events that this day needs are past their retention, and no settled histories hold them",
            table=names.USER_HISTORIES, partition=f"ds={ds}", expected=f"settled histories of a day from {last_expired} on", got="none",
            hint="restore the expired events, or run the days in order before they expire",
        )  # fmt: skip
    if context.recompute:
        return min(fresh) if last_expired else None
    return max(fresh, default=None)


def _expired_days(context: Context, ds: date) -> list[date]:
    """Days <= ``ds`` that brought events of which the table holds none any more."""
    first_kept = next(iter(context.tables.days(names.EVENTS)), None)
    newest = {row.ds: row for row in context.ledger.rows(names.INGEST_EVENTS_JOB, until=ds) if row.settled}
    return [day for day, row in newest.items() if row.counts.get("accepted", 0) > 0 and (first_kept is None or day < first_kept)]


def _fresh_days(context: Context, ds: date, n_max: int) -> list[date]:
    """Days before ``ds`` whose histories are settled and not stale."""
    event_outputs = sorted(upstream.outputs_until(context, names.INGEST_EVENTS_JOB, ds).items())

    def expected(day: date) -> str:
        events = digest_of([pair for pair in event_outputs if pair[0] <= day])
        return _digest(n_max, events)

    states = context.ledger.standings(names.USER_HISTORIES_JOB, until=ds - timedelta(days=1))
    return [day for day, state in states.items() if state.settled and state.input_digest == expected(day)]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma user-histories``."""

    def body(args: UserHistoriesArgs) -> int:
        days, stage = args.days, user_histories_stage(args.n_max)
        context = context_of(args, names.USER_HISTORIES_JOB, recompute=args.recompute)
        return run_days(context, [stage], days)

    return run_main(UserHistoriesArgs, body, argv, prog="karma user-histories")


if __name__ == "__main__":
    sys.exit(main())
