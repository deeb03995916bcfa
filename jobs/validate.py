"""validate: judge the staged vectors of a day; the verdict names the staged version and its row count (P4)."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import gate, upstream
from jobs.cli import DayArgs, context_of, run_main
from jobs.digests import digest_of
from jobs.encoders import Encoder, stages_of_spaces
from jobs.errors import InputMissingError, VersionGoneError
from jobs.gate.verdict import refuse_blocked
from jobs.ledger import LedgerRow
from jobs.stage import Context, Outcome, Stage, run_days
from jobs.tables import Where
from schemas import gate_rules, names


@dataclass(frozen=True, kw_only=True)
class ValidateArgs(DayArgs):
    """Judge the staged interest embeddings of a day with Great Expectations; exit 3 where a rule fails."""

    encoder: str | None = None
    """Encoder version; default: every active one."""


def validate_stage(encoder: Encoder) -> Stage:
    """The stage for one encoder's space. A verdict stands for one staged version."""
    return Stage(
        job=names.VALIDATE_JOB,
        space_id=encoder.space_id,
        input_digest=lambda context, ds: _input_digest(context, ds, encoder.space_id),
        run=lambda context, ds, attempt: _run(context, ds, encoder),
    )


def _input_digest(context: Context, ds: date, space_id: str) -> str:
    staged = upstream.settled(context, names.INTEREST_EMBEDDINGS_JOB, ds, space_id)
    return digest_of(names.VALIDATE_JOB, gate_rules.VERSION, staged.output_digest, staged.details, staged.versions)


def _run(context: Context, ds: date, encoder: Encoder) -> Outcome:
    staging = upstream.settled(context, names.INTEREST_EMBEDDINGS_JOB, ds, encoder.space_id)
    histories = context.tables.read_where(names.USER_HISTORIES, {"ds": ds})
    verdict = gate.check_interests(
        context.spark, staged=staged_rows(context, ds, encoder.space_id, staging), space_id=encoder.space_id, ds=ds,
        expected_users=histories.select("user_id", F.size("event_ids").alias("history_len")),
        previous=_previous(context, ds, encoder.space_id), dimension=encoder.manifest.dim, docs_dir=context.places.data_docs,
    )  # fmt: skip
    refuse_blocked(verdict, names.INTEREST_EMBEDDINGS, f"ds={ds}, space_id={encoder.space_id}")
    details = {
        **staging.details,
        "gate_rules": gate_rules.VERSION,
        "data_docs": str(verdict.docs),
        "rules": ", ".join(f"{r.frame}.{r.rule}={r.status}" for r in verdict.rules),
    }
    counts = {"rows": verdict.rows, **{status: sum(r.status == status for r in verdict.rules) for status in ("passed", "not_applicable")}}
    return Outcome(output_digest=staging.output_digest or "", counts=counts, versions=staging.versions, details=details)


def staged_rows(context: Context, ds: date, space_id: str, staging: LedgerRow) -> DataFrame:
    """Exactly the rows that the staging (or the verdict on it) names: its run, at its Delta version.

    Where that version can be read no more, its run as it is now: no other run writes there, and their number is checked.
    Raises InputMissingError STAGING_EXPIRED: upkeep has removed them.
    """
    where: Where = {"ds": ds, "space_id": space_id, "run_id": staging.details["staged_run_id"]}
    now = context.tables.read_where(names.INTEREST_EMBEDDINGS_STAGED, where)
    if now.isEmpty() and staging.counts.get("users", staging.counts.get("rows", 0)):
        raise InputMissingError(
            "STAGING_EXPIRED", "the staged rows of the day are gone", table=names.INTEREST_EMBEDDINGS_STAGED,
            partition=f"ds={ds}, space_id={space_id}", expected=f"the rows of run {where['run_id']}", got="none",
            hint=f"karma interest-embeddings --ds {ds} --recompute",
        )  # fmt: skip
    try:
        version = staging.versions[names.INTEREST_EMBEDDINGS_STAGED]
        return context.tables.read_where(names.INTEREST_EMBEDDINGS_STAGED, where, version=version)
    except VersionGoneError:
        return now


def _previous(context: Context, ds: date, space_id: str) -> DataFrame | None:
    """The nearest published snapshot before ``ds`` in this space, or None."""
    earlier = [day for day in context.tables.days(names.INTEREST_EMBEDDINGS, space_id) if day < ds]
    return context.tables.read_where(names.INTEREST_EMBEDDINGS, {"ds": earlier[-1], "space_id": space_id}) if earlier else None


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma validate``."""

    def body(args: ValidateArgs) -> int:
        days = args.days
        context = context_of(args, names.VALIDATE_JOB, recompute=args.recompute)
        stages = stages_of_spaces(context, names.VALIDATE_JOB, args.encoder, validate_stage)
        return run_days(context, stages, days)

    return run_main(ValidateArgs, body, argv, prog="karma validate")


if __name__ == "__main__":
    sys.exit(main())
