"""What a stage needs of the stages before it: their settled results, as digests that chain."""

from datetime import date

from jobs.digests import digest_of
from jobs.errors import InputMissingError
from jobs.ledger import LedgerRow
from jobs.stage import Context
from jobs.transforms.label_window import LabelWindow
from jobs.transforms.training import last_day_before
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
    """What (job, space) left in its tables, by day <= ``ds``: the output digest of the newest attempt that may have written.

    One that did not settle stands for itself: it may have written before it broke, so what read its rows is stale once it is mended.
    """
    newest = context.ledger.standings(job, space_id, until=ds)
    return {day: (row.output_digest if row.settled else None) or f"{row.status} {row.run_id} {row.attempt}" for day, row in newest.items()}


def judged_on(context: Context, window: LabelWindow) -> list[list[tuple[date, str]]]:
    """What targets of ``window`` and all that is known before it are made from, for an input digest.

    Events up to the window's last day; item versions and image features up to the last day before it.
    """
    before = last_day_before(window.since)
    read = ((names.INGEST_EVENTS_JOB, window.last_day), (names.INGEST_ITEMS_JOB, before), (names.VISUAL_FEATURES_JOB, before))
    return [sorted(outputs_until(context, job, until).items()) for job, until in read]


def events_digest(context: Context, ds: date) -> str:
    """Changes when any day of events up to ``ds`` changes."""
    settled(context, names.INGEST_EVENTS_JOB, ds)
    return digest_of(sorted(outputs_until(context, names.INGEST_EVENTS_JOB, ds).items()))


def items_digest(context: Context, ds: date) -> str:
    """Changes when any arrival of item versions up to ``ds`` changes."""
    settled(context, names.INGEST_ITEMS_JOB, ds)
    return digest_of(sorted(outputs_until(context, names.INGEST_ITEMS_JOB, ds).items()))
