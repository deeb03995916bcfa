"""run-day: all stages of a day, or of a range of days, in one Spark session."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jobs.cli import DayArgs, context_of, run_main
from jobs.day import DayOptions, run_day
from jobs.encoders import active_encoders
from jobs.error_budget import check_budget
from jobs.ingest import IngestOptions, check_lateness
from jobs.interest_encoding import DEFAULT_TOKEN_BUDGET, check_token_budget
from jobs.mapping import load_mapping
from jobs.publish import Publication, lag_of
from jobs.ranking_features import JoinPolicy
from jobs.stage import exit_code
from schemas import names


@dataclass(frozen=True, kw_only=True)
class RunDayArgs(DayArgs):
    """Run every stage of a day for every active encoder, in one session."""

    publication: Literal["live", "simulated"] | None = None
    """Default: live for --ds, simulated for a backfill (--ds-from/--ds-to)."""
    publication_lag_hours: float = names.DEFAULT_PUBLICATION_LAG_HOURS
    """A simulated snapshot is readable this many hours after the end of its day."""
    n_max: int = names.DEFAULT_N_MAX
    """Events kept a user."""
    mapping: str | None = None
    """Column mapping of the landing zone (TOML)."""
    max_lateness_days: int = names.DEFAULT_MAX_LATENESS_DAYS
    """An event older than this before its arrival day is too late."""
    error_budget: float = names.DEFAULT_ERROR_BUDGET
    """Share of a landing partition's rows that may be refused (100 rows always may); beyond it nothing of the day is published."""
    vision: tuple[str, ...] = ()
    """Vision encoders; default: those of the active encoders."""
    token_budget: int = DEFAULT_TOKEN_BUDGET
    """Padded history tokens of one forward pass."""
    allow_trained_after: bool = False
    """Keep vectors of an encoder trained until after the impression, marked."""

    def options(self) -> DayOptions:
        mode = self.publication or ("simulated" if self.is_backfill else "live")
        return DayOptions(
            ingest=IngestOptions(
                mapping=load_mapping(self.mapping),
                max_lateness_days=check_lateness(self.max_lateness_days),
                error_budget=check_budget(self.error_budget),
            ),
            vision=self.vision,
            n_max=self.n_max,
            token_budget=check_token_budget(self.token_budget),
            publication=Publication(mode=mode, lag=lag_of(self.publication_lag_hours)),
            join=JoinPolicy(allow_trained_after=self.allow_trained_after),
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma run-day``."""

    def body(args: RunDayArgs) -> int:
        days, options = args.days, args.options()
        context = context_of(args, "run-day", recompute=args.recompute, makes_root=True)
        encoders = active_encoders(context)
        rows = [row for ds in days for row in run_day(context, options, ds, encoders)]
        return next((exit_code(row) for row in rows if not row.settled), names.EXIT_DONE)

    return run_main(RunDayArgs, body, argv, prog="karma run-day")


if __name__ == "__main__":
    sys.exit(main())
