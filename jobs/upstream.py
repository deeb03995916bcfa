"""What a stage needs of the stages before it: their settled results, as digests that chain."""

from datetime import date

from jobs.digests import digest_of
from jobs.errors import InputMissingError
from jobs.ledger import LedgerRow
from jobs.stage import Context
from schemas import names


def settled(context: Context, job: str, ds: date, space_id: str = "") -> LedgerRow:
    """The standing row of (job, ds, space), which must be settled. Raises InputMissingError."""
    state = context.ledger.standing(job, ds, space_id)
    if state is None or not state.settled:
        raise InputMissingError(
            "UPSTREAM_NOT_DONE", f"{job} has not finished {ds}", partition=f"ds={ds}" + (f", space_id={space_id}" if space_id else ""),
            expected="done or unchanged", got=state.status if state else "no ledger row", hint=f"karma {job} --ds {ds}",
        )  # fmt: skip
    return state


def outputs_until(context: Context, job: str, ds: date, space_id: str = "") -> dict[date, str]:
    """What (job, space) left in its tables, by day <= ``ds``: the output digest of the newest attempt.

    One that did not settle stands for itself: it may have written before it broke, so what read its rows is stale once it is mended.
    """
    rows = [row for row in context.ledger.rows(job, space_id, until=ds) if row.status != names.MISSING_INPUT]
    newest = {row.ds: row for row in rows}
    return {day: (row.output_digest if row.settled else None) or f"{row.status} {row.run_id} {row.attempt}" for day, row in newest.items()}


def events_digest(context: Context, ds: date) -> str:
    """Changes when any day of events up to ``ds`` changes."""
    settled(context, names.INGEST_EVENTS_JOB, ds)
    return digest_of(sorted(outputs_until(context, names.INGEST_EVENTS_JOB, ds).items()))


def items_digest(context: Context, ds: date) -> str:
    """Changes when any arrival of item versions up to ``ds`` changes."""
    settled(context, names.INGEST_ITEMS_JOB, ds)
    return digest_of(sorted(outputs_until(context, names.INGEST_ITEMS_JOB, ds).items()))
