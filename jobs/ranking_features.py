"""ranking-features: the impressions of a day joined, point in time, to the published vectors of one space."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import gate, upstream
from jobs.cli import DayArgs, context_of, parse_instant, run_main
from jobs.digests import digest_groups, digest_of, digest_of_groups, frame_digest
from jobs.encoders import Encoder, stages_of_spaces
from jobs.errors import InputMissingError, SupersededError
from jobs.gate.verdict import refuse_blocked
from jobs.stage import Context, Outcome, Stage, run_days
from jobs.tables import Where
from jobs.transforms.item_versions import versions_known
from jobs.transforms.ranking import impressions_of, ranking_features
from schemas import gate_rules, names
from schemas.contracts import CONTRACTS

CODE_VERSION = "2"


@dataclass(frozen=True, kw_only=True)
class JoinPolicy:
    """What a join may read.

    Attributes:
        allow_trained_after: keep vectors of an encoder trained until after the impression, marked.
        known_at: read the snapshots as the ledger says they stood at this instant, not as they stand now.
    """

    allow_trained_after: bool = False
    known_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RankingFeaturesArgs(DayArgs):
    """Join the impressions of a day to the interest vectors that were readable when they happened."""

    encoder: str | None = None
    """Encoder version, which names the space; a join never follows the champion. Default: every active one, a space each."""
    allow_trained_after: bool = False
    """Keep vectors of an encoder trained until after the impression; missing_reason still says trained_after."""
    known_at: str | None = None
    """Join to the snapshots as published by this instant (ISO 8601); the rows stay in ranking_features_staged."""

    def policy(self) -> JoinPolicy:
        known_at = parse_instant(self.known_at, "--known-at") if self.known_at else None
        return JoinPolicy(allow_trained_after=self.allow_trained_after, known_at=known_at)


def ranking_features_stage(encoder: Encoder, policy: JoinPolicy) -> Stage:
    """The stage for one encoder's space."""
    return Stage(
        job=names.LOOK_BACK_JOB if policy.known_at else names.RANKING_FEATURES_JOB,  # a look back says nothing of the day's state
        space_id=encoder.space_id,
        input_digest=lambda context, ds: _input_digest(context, ds, encoder, policy),
        run=lambda context, ds, attempt: _run(context, ds, encoder, policy, attempt),
    )


def _input_digest(context: Context, ds: date, encoder: Encoder, policy: JoinPolicy) -> str:
    """A snapshot of a day after ``ds`` was not readable on ``ds``, so later days change nothing here."""
    upstream.settled(context, names.INGEST_IMPRESSIONS_JOB, ds)
    impressions = upstream.outputs_until(context, names.INGEST_IMPRESSIONS_JOB, ds)
    upstream.settled(context, names.ITEM_EMBEDDINGS_JOB, ds, encoder.space_id)
    snapshots = upstream.outputs_until(context, names.PUBLISH_JOB, ds, encoder.space_id)
    versions = _published_version(context, encoder.space_id, policy.known_at)
    when = versions if policy.known_at else sorted(snapshots.items())
    return digest_of(
        names.RANKING_FEATURES_JOB,
        CODE_VERSION,
        gate_rules.VERSION,
        encoder.digest,
        policy.allow_trained_after,
        str(policy.known_at),
        sorted(impressions.items()),
        when,
        _availability(context, ds, encoder.space_id),
        upstream.items_digest(context, ds),
    )


def _availability(context: Context, ds: date, space_id: str) -> list[tuple[str, str]]:
    snapshots = context.tables.read_where(names.INTEREST_EMBEDDINGS, {"space_id": space_id}).where(F.col("ds") <= F.lit(ds))
    rows = snapshots.groupBy("ds").agg(F.max("available_at").alias("at")).collect()
    return sorted((row["ds"].isoformat(), row["at"].isoformat()) for row in rows)


def _published_version(context: Context, space_id: str, known_at: datetime | None) -> int | None:
    """The Delta version of interest_embeddings that stood at ``known_at``, by the ledger; None means the newest.

    Backfills may carry an earlier clock than what was committed before them: a version counts only below the first one that the
    ledger dates later. Raises InputMissingError: nothing had been published by then.
    """
    if known_at is None:
        return None
    rows = [row for row in context.ledger.rows(names.PUBLISH_JOB, space_id) if names.INTEREST_EMBEDDINGS in row.versions]
    later = [row.versions[names.INTEREST_EMBEDDINGS] for row in rows if row.at > known_at and row.status == names.DONE]
    first_later = min(later, default=None)
    known = [row.versions[names.INTEREST_EMBEDDINGS] for row in rows if row.at <= known_at]
    known = [version for version in known if first_later is None or version < first_later]
    if not known:
        raise InputMissingError(
            "NOTHING_PUBLISHED_BY",
            "nothing had been published by --known-at",
            table=names.INTEREST_EMBEDDINGS,
            got=known_at.isoformat(),
            hint="karma days shows what was published; take a later instant",
        )
    return max(known)


def _run(context: Context, ds: date, encoder: Encoder, policy: JoinPolicy, attempt: int) -> Outcome:
    impressions = impressions_of(context.tables.read(names.IMPRESSIONS), ds)
    staged = _staged(context, ds, encoder, policy, impressions)
    verdict = gate.check_ranking_features(
        context.spark,
        staged=staged,
        impressions=impressions,
        space_id=encoder.space_id,
        ds=ds,
        dimension=encoder.manifest.dim,
        docs_dir=context.places.data_docs / "look_back" if policy.known_at else context.places.data_docs,
        allow_trained_after=policy.allow_trained_after,
    )
    refuse_blocked(verdict, names.RANKING_FEATURES, f"ds={ds}, space_id={encoder.space_id}")
    columns = CONTRACTS[names.RANKING_FEATURES].names
    joined = staged.select(*columns)
    groups = digest_groups(joined, columns, "missing_reason")
    count, digest = digest_of_groups(groups.values())
    outcome = Outcome(
        output_digest=digest,
        counts={"rows": count, **{reason or "joined": int(group["n"]) for reason, group in groups.items()}},
        details={"data_docs": str(verdict.docs), "staged_run_id": context.run_id},
    )
    where: Where = {"ds": ds, "space_id": encoder.space_id}
    if policy.known_at is not None:  # a look back: it stays staged, the table keeps what is known now
        return outcome
    if count and frame_digest(context.tables.read_where(names.RANKING_FEATURES, where), columns) == (count, digest):
        return replace(outcome, status=names.UNCHANGED)
    once = (f"{names.RANKING_FEATURES_JOB}/{ds}/{encoder.space_id}", attempt)
    version = context.tables.replace(joined, names.RANKING_FEATURES, where, once=once)
    if version is None:
        raise SupersededError(
            "SUPERSEDED", "a newer attempt at this day exists", table=names.RANKING_FEATURES,
            partition=f"ds={ds}, space_id={encoder.space_id}", expected=f"attempt {attempt}", got="a later attempt has written the day",
            hint="wait for it where it is at work; a rerun says whether its rows are up to date",
        )  # fmt: skip
    return replace(outcome, versions={names.RANKING_FEATURES: version})


def _staged(context: Context, ds: date, encoder: Encoder, policy: JoinPolicy, impressions: DataFrame) -> DataFrame:
    """The joined rows, staged under this run; read back at the version written."""
    version = _published_version(context, encoder.space_id, policy.known_at)
    space: Where = {"space_id": encoder.space_id}
    interests = context.tables.read_where(names.INTEREST_EMBEDDINGS, space, version=version).where(F.col("ds") <= F.lit(ds))
    features = ranking_features(
        impressions,
        interests,
        versions_known(context.tables.read(names.ITEMS), ds),
        context.tables.read_where(names.ITEM_EMBEDDINGS, space),
        space_id=encoder.space_id,
        allow_trained_after=policy.allow_trained_after,
    )
    where: Where = {"ds": ds, **space, "run_id": context.run_id}
    written = context.tables.replace(features.withColumn("run_id", F.lit(context.run_id)), names.RANKING_FEATURES_STAGED, where)
    return context.tables.read_where(names.RANKING_FEATURES_STAGED, where, version=written)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma ranking-features``."""

    def body(args: RankingFeaturesArgs) -> int:
        days = args.days
        context = context_of(args, names.RANKING_FEATURES_JOB, recompute=args.recompute)
        stages = stages_of_spaces(
            context, names.RANKING_FEATURES_JOB, args.encoder, lambda encoder: ranking_features_stage(encoder, args.policy())
        )
        return run_days(context, stages, days)

    return run_main(RankingFeaturesArgs, body, argv, prog="karma ranking-features")


if __name__ == "__main__":
    sys.exit(main())
