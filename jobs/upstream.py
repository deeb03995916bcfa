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
    """Output digest of every day <= ``ds`` that (job, space) ever settled: what its tables hold now."""
    rows = context.ledger.rows(job, space_id, until=ds)
    return {row.ds: row.output_digest for row in rows if row.settled and row.output_digest}


def events_digest(context: Context, ds: date) -> str:
    """Changes when any day of events up to ``ds`` changes."""
    settled(context, names.INGEST_EVENTS_JOB, ds)
    return digest_of(sorted(outputs_until(context, names.INGEST_EVENTS_JOB, ds).items()))


def items_digest(context: Context, ds: date) -> str:
    """Changes when any arrival of item versions up to ``ds`` changes."""
    settled(context, names.INGEST_ITEMS_JOB, ds)
    return digest_of(sorted(outputs_until(context, names.INGEST_ITEMS_JOB, ds).items()))
