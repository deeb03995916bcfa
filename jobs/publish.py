"""publish: take exactly the rows that passed the gate and replace the day's snapshot, in one commit (P4)."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Literal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import upstream
from jobs.cli import DayArgs, context_of, run_main
from jobs.digests import digest_of, frame_digest
from jobs.encoders import Encoder, stages_of_spaces
from jobs.errors import InputMissingError, JobError, SupersededError, UsageError
from jobs.ledger import LedgerRow
from jobs.stage import Context, Outcome, Stage, run_days
from jobs.tables import Where
from jobs.transforms.days import as_of
from jobs.validate import staged_rows
from schemas import gate_rules, names
from schemas.contracts import CONTRACTS

_IDENTITY = ("user_id", "fingerprint", "history_len", "last_event_time", "trained_until")
"""What makes two snapshots of a day the same (P3); vectors follow from it within the promised cosine."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """How a snapshot becomes readable: live from the publish job's clock, simulated from as_of plus the lag."""

    mode: Literal["live", "simulated"] = "live"
    lag: timedelta = timedelta(hours=names.DEFAULT_PUBLICATION_LAG_HOURS)


MAX_LAG_HOURS = 24 * 365


@dataclass(frozen=True, kw_only=True)
class PublishArgs(DayArgs):
    """Publish the staged interest embeddings of a day that passed the gate."""

    encoder: str | None = None
    """Encoder version; default: every active one."""
    publication: Literal["live", "simulated"] | None = None
    """Default: live for --ds, simulated for a backfill (--ds-from/--ds-to)."""
    publication_lag_hours: float = names.DEFAULT_PUBLICATION_LAG_HOURS
    """A simulated snapshot is readable this many hours after the end of its day."""

    def how(self) -> Publication:
        mode = self.publication or (names.SIMULATED if self.is_backfill else names.LIVE)
        return Publication(mode=mode, lag=lag_of(self.publication_lag_hours))  # type: ignore[arg-type]


def lag_of(hours: float) -> timedelta:
    """The declared lag. Raises UsageError where a snapshot would be readable before its day has ended, or never."""
    if not 0 <= hours < MAX_LAG_HOURS:
        raise UsageError(
            "LAG_OUTSIDE", "a snapshot is readable from the end of its day on", column="--publication-lag-hours",
            expected=f">= 0 and < {MAX_LAG_HOURS}", got=hours,
        )  # fmt: skip
    return timedelta(hours=hours)


def publish_stage(encoder: Encoder, publication: Publication) -> Stage:
    """The stage for one encoder's space."""
    return Stage(
        job=names.PUBLISH_JOB,
        space_id=encoder.space_id,
        input_digest=lambda context, ds: _input_digest(context, ds, encoder.space_id, publication),
        run=lambda context, ds, attempt: _run(context, ds, encoder, publication, attempt),
    )


def _input_digest(context: Context, ds: date, space_id: str, publication: Publication) -> str:
    verdict = upstream.settled(context, names.VALIDATE_JOB, ds, space_id)
    how = (publication.mode, publication.lag.total_seconds())
    return digest_of(names.PUBLISH_JOB, verdict.output_digest, verdict.details, verdict.versions, how)


def _run(context: Context, ds: date, encoder: Encoder, publication: Publication, attempt: int) -> Outcome:
    verdict = upstream.settled(context, names.VALIDATE_JOB, ds, encoder.space_id)
    _refuse_stale_verdict(verdict, ds)
    _refuse_superseded(context, ds, encoder.space_id, verdict)
    where: Where = {"ds": ds, "space_id": encoder.space_id}
    standing = context.tables.read_where(names.INTEREST_EMBEDDINGS, where)
    facts = {"publication": publication.mode, "staged_run_id": verdict.details["staged_run_id"]}
    if not context.recompute and _is_published(standing, verdict, ds, publication):  # its staging may be gone by now
        count, digest = frame_digest(standing, _IDENTITY)
        return _unchanged(context, count, digest, facts)
    staged = _judged_rows(context, ds, encoder.space_id, verdict)
    snapshot = _snapshot(context, ds, encoder, publication, staged)
    count, digest = frame_digest(snapshot, _IDENTITY)
    if not context.recompute:
        if _stands_already(standing, snapshot, publication):
            return _unchanged(context, count, digest, facts)
        _refuse_simulated_over_live(standing, publication, ds)
    once = (f"{names.PUBLISH_JOB}/{ds}/{encoder.space_id}", attempt)
    version = context.tables.replace(snapshot, names.INTEREST_EMBEDDINGS, where, once=once)
    if version is None:
        raise _superseded(ds, encoder.space_id, f"publish attempt {attempt}", "a later publish attempt has written the day")
    return Outcome(output_digest=digest, counts={"rows": count}, versions={names.INTEREST_EMBEDDINGS: version}, details=facts)


def _unchanged(context: Context, count: int, digest: str, facts: Mapping[str, str]) -> Outcome:
    versions = {names.INTEREST_EMBEDDINGS: context.tables.version(names.INTEREST_EMBEDDINGS)}
    return Outcome(status=names.UNCHANGED, output_digest=digest, counts={"rows": count}, versions=versions, details=facts)


def _is_published(standing: DataFrame, verdict: LedgerRow, ds: date, publication: Publication) -> bool:
    """Whether the published rows are those that were judged, and need no other clock: a live snapshot keeps its own."""
    groups = [tuple(row) for row in standing.groupBy("run_id", "publication", "available_at").count().collect()]
    if len(groups) != 1:
        return False
    run_id, mode, available_at, count = groups[0]
    same_clock = mode == names.LIVE or (publication.mode == mode and available_at.astimezone(UTC) == as_of(ds) + publication.lag)
    return (run_id, count) == (verdict.details["staged_run_id"], verdict.counts["rows"]) and same_clock


def _stands_already(standing: DataFrame, snapshot: DataFrame, publication: Publication) -> bool:
    """Whether the published rows are these rows; among simulated ones the declared lag counts too."""
    simulated = publication.mode == names.SIMULATED and standing.where(F.col("publication") == names.LIVE).isEmpty()
    identity = (*_IDENTITY, "available_at") if simulated else _IDENTITY
    return frame_digest(standing, identity) == frame_digest(snapshot, identity)


def _refuse_stale_verdict(verdict: LedgerRow, ds: date) -> None:
    if verdict.details.get("gate_rules") != gate_rules.VERSION:
        raise InputMissingError(
            "VERDICT_STALE", "the day was judged under other thresholds", partition=f"ds={ds}", expected=gate_rules.VERSION,
            got=verdict.details.get("gate_rules"), hint=f"karma validate --ds {ds}",
        )  # fmt: skip


def _superseded(ds: date, space_id: str, expected: str, got: str) -> SupersededError:
    return SupersededError(
        "SUPERSEDED", "a newer attempt at this day exists", table=names.INTEREST_EMBEDDINGS, partition=f"ds={ds}, space_id={space_id}",
        expected=expected, got=got, hint="interest-embeddings, validate and publish again; where another run is at work, wait for it",
    )  # fmt: skip


def _refuse_superseded(context: Context, ds: date, space_id: str, verdict: LedgerRow) -> None:
    """Raises SupersededError where a newer staging of this day began after the one that was judged."""
    stagings = [row for row in context.ledger.rows(names.INTEREST_EMBEDDINGS_JOB, space_id, until=ds) if row.ds == ds]
    ended = {(row.attempt, row.run_id): row.status for row in stagings}  # of an attempt that was killed: started
    newest = [row for row in stagings if ended[row.attempt, row.run_id] in (names.STARTED, names.DONE)][-1]
    judged = verdict.details["staged_run_id"], verdict.versions[names.INTEREST_EMBEDDINGS_STAGED]
    if newest.status != names.DONE or (newest.details["staged_run_id"], newest.versions[names.INTEREST_EMBEDDINGS_STAGED]) != judged:
        found = f"run {newest.run_id} (attempt {newest.attempt}, {newest.status})"
        raise _superseded(ds, space_id, f"run {judged[0]}", found)


def _judged_rows(context: Context, ds: date, space_id: str, verdict: LedgerRow) -> DataFrame:
    """The staged rows that the verdict names. Raises JobError where their number is not the judged one."""
    staged = staged_rows(context, ds, space_id, verdict)
    rows = staged.count()
    if rows != verdict.counts["rows"]:
        raise JobError(
            "STAGED_ROWS_CHANGED",
            "the staged rows are not those that passed the gate",
            table=names.INTEREST_EMBEDDINGS_STAGED,
            partition=f"ds={ds}, space_id={space_id}",
            expected=verdict.counts["rows"],
            got=rows,
            hint="run interest-embeddings again",
        )
    return staged


def _snapshot(context: Context, ds: date, encoder: Encoder, publication: Publication, staged: DataFrame) -> DataFrame:
    now = context.now()
    if publication.mode == names.LIVE and now < as_of(ds):
        raise UsageError("DAY_NOT_OVER", "a live publication of a day that has not ended", expected=f">= {as_of(ds)}", got=now)
    available_at = now if publication.mode == names.LIVE else as_of(ds) + publication.lag
    facts = {
        "created_at": F.lit(now),
        "available_at": F.lit(available_at),
        "trained_until": F.lit(encoder.trained_until),
        "publication": F.lit(publication.mode),
    }
    return staged.withColumns(facts).select(*CONTRACTS[names.INTEREST_EMBEDDINGS].names)


def _refuse_simulated_over_live(standing: DataFrame, publication: Publication, ds: date) -> None:
    if publication.mode == names.SIMULATED and not standing.where(F.col("publication") == names.LIVE).isEmpty():
        raise UsageError(
            "LIVE_STANDS",
            "a simulated publication does not replace a live one",
            table=names.INTEREST_EMBEDDINGS,
            partition=f"ds={ds}",
            expected="no live snapshot",
            got="a live snapshot with other rows",
            hint="--recompute, or --publication live",
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma publish``."""

    def body(args: PublishArgs) -> int:
        days, how = args.days, args.how()
        context = context_of(args, names.PUBLISH_JOB, recompute=args.recompute)
        stages = stages_of_spaces(context, names.PUBLISH_JOB, args.encoder, lambda encoder: publish_stage(encoder, how))
        return run_days(context, stages, days)

    return run_main(PublishArgs, body, argv, prog="karma publish")


if __name__ == "__main__":
    sys.exit(main())
