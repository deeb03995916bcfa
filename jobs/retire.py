"""retire: stop producing the space of an encoder; what is published in it stays."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from jobs.cli import RootArgs, context_of, run_main
from jobs.digests import digest_of
from jobs.encoders import retire_version, take_back_version
from jobs.stage import Context, Outcome, Stage, run_days
from schemas import names


@dataclass(frozen=True, kw_only=True)
class RetireArgs(RootArgs):
    """Take an encoder out of the daily run. The champion cannot be retired; readers of its space keep what was published."""

    encoder: str
    """Encoder version."""
    undo: bool = False
    """Take a retired one back into the daily run."""


def retire_stage(context: Context, version: str, *, undo: bool = False) -> Stage:
    """The stage; its day is the day of the retirement (UTC). The artefact is not opened: it may be what was lost."""

    def run(context: Context, ds: date, attempt: int) -> Outcome:
        (take_back_version if undo else retire_version)(context, version)
        return Outcome(output_digest=digest_of(version), details={"version": version, "status": names.ACTIVE if undo else names.RETIRED})

    spaces = [row["space_id"] for row in context.tables.rows(names.ENCODER_VERSIONS, [("version", "=", version)])]
    # Each run is one of its own: a second one has to say that the encoder is not active.
    return Stage(
        job=names.RETIRE_JOB, space_id=spaces[0] if spaces else "", input_digest=lambda context, ds: digest_of(context.run_id), run=run
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma retire``."""

    def body(args: RetireArgs) -> int:
        context = context_of(args, names.RETIRE_JOB)
        return run_days(context, [retire_stage(context, args.encoder, undo=args.undo)], [context.run_at.date()])

    return run_main(RetireArgs, body, argv, prog="karma retire")


if __name__ == "__main__":
    sys.exit(main())
