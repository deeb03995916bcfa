"""promote: make an encoder champion, and say which labels can be joined to its vectors."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import functions as F
from rich.console import Console

from jobs.cli import RootArgs, context_of, run_main
from jobs.digests import digest_of
from jobs.encoders import Encoder, make_champion, stages_of_spaces
from jobs.stage import Context, Outcome, Stage, exit_code, run_stage
from schemas import names


@dataclass(frozen=True, kw_only=True)
class PromoteArgs(RootArgs):
    """Move the alias champion to an active encoder. Every space goes on being produced; no join follows the alias by itself."""

    encoder: str
    """Encoder version."""


def promote_stage(encoder: Encoder) -> Stage:
    """The stage; its day is the day of the promotion (UTC)."""
    return Stage(
        job=names.PROMOTE_JOB,
        space_id=encoder.space_id,
        input_digest=lambda context, ds: digest_of(encoder.digest, _champion(context), usable_window(context, encoder)),
        run=lambda context, ds, attempt: _run(context, encoder),
    )


def _champion(context: Context) -> tuple[str, str] | None:
    """Version of the champion and since when it is (that too: an alias may come back)."""
    rows = context.tables.rows(names.ENCODER_VERSIONS, [("alias", "=", names.CHAMPION)])
    return (rows[0]["version"], rows[0]["promoted_at"].isoformat()) if rows else None


def _run(context: Context, encoder: Encoder) -> Outcome:
    before = _champion(context)
    stands = before is not None and before[0] == encoder.version
    if not stands:
        make_champion(context, encoder.version)
    details = {"version": encoder.version, "champion_before": before[0] if before else "none", **usable_window(context, encoder)}
    return Outcome(status=names.UNCHANGED if stands else names.DONE, output_digest=digest_of(encoder.version), details=details)


def usable_window(context: Context, encoder: Encoder) -> dict[str, str]:
    """Which labels can be joined to the encoder's vectors: those from ``trained_until`` on that a published day was readable for."""
    published = context.tables.read_where(names.INTEREST_EMBEDDINGS, {"space_id": encoder.space_id})
    # As seconds: collect() gives times in the zone of this machine.
    days = published.groupBy("ds").agg(F.unix_seconds(F.min("available_at")).alias("seconds")).collect()
    return window_in_words(encoder.trained_until, {row["ds"]: datetime.fromtimestamp(row["seconds"], UTC) for row in days})


def window_in_words(trained_until: datetime, available_at: Mapping[date, datetime]) -> dict[str, str]:
    """``available_at``: of each published day."""
    words = {"trained_until": trained_until.isoformat(), "days_published": str(len(available_at))}
    if not available_at:
        return {**words, "usable_from": "nothing is published in its space yet: backfill it from trained_until on"}
    first = min(available_at.values())
    span = {"first_day": min(available_at).isoformat(), "last_day": max(available_at).isoformat()}
    return {**words, **span, "usable_from": max(trained_until, first).isoformat()}


def _show(details: Mapping[str, Any]) -> None:
    console = Console(width=120)
    for name, value in details.items():
        console.print(f"{name:>16}: {value}", highlight=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma promote``."""

    def body(args: PromoteArgs) -> int:
        context = context_of(args, names.PROMOTE_JOB)
        (stage,) = stages_of_spaces(context, names.PROMOTE_JOB, args.encoder, promote_stage)
        row = run_stage(context, stage, context.run_at.date())
        _show(row.details)
        return exit_code(row)

    return run_main(PromoteArgs, body, argv, prog="karma promote")


if __name__ == "__main__":
    sys.exit(main())
