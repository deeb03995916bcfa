"""days: one line a day from the ledger, holes included."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from jobs.cli import RootArgs, context_of, days_between, run_main
from jobs.day import DAY
from jobs.ledger import Ledger, LedgerRow
from schemas import names

_GLOBAL_JOBS = tuple(step.job for step in DAY if not step.per_space)
_SPACE_JOBS = tuple(step.job for step in DAY if step.per_space)
HOLE = "-"


@dataclass(frozen=True, kw_only=True)
class DaysArgs(RootArgs):
    """Print one line a day and space from the run ledger; a job without a row shows as -."""

    first: Annotated[str, tyro.conf.arg(name="from")]
    """First day, inclusive."""
    last: Annotated[str, tyro.conf.arg(name="to")]
    """Last day, inclusive."""


def day_lines(ledger: Ledger, days: Sequence[date], spaces: Sequence[str]) -> list[dict[str, str]]:
    """One dictionary a (day, space), days in order: ds, space_id and the newest status of every job, ``-`` for a hole."""
    shared = {job: ledger.states(job, until=days[-1]) for job in _GLOBAL_JOBS}
    lines = []
    for space in spaces or ("",):
        own = {job: ledger.states(job, space, until=days[-1]) for job in _SPACE_JOBS}
        lines += [{"ds": day.isoformat(), "space_id": space or HOLE, **_statuses({**shared, **own}, day)} for day in days]
    return sorted(lines, key=lambda line: (line["ds"], line["space_id"]))


def _statuses(states: Mapping[str, Mapping[date, LedgerRow]], day: date) -> dict[str, str]:
    return {job: states[job][day].status if day in states.get(job, {}) else HOLE for job in (*_GLOBAL_JOBS, *_SPACE_JOBS)}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma days``."""

    def body(args: DaysArgs) -> int:
        days = days_between(args.first, args.last, ("--from", "--to"))
        context = context_of(args, "days")
        lines = day_lines(context.ledger, days, context.ledger.spaces())
        table = Table(*lines[0])
        for line in lines:
            table.add_row(*line.values())
        Console(width=None if sys.stdout.isatty() else 220).print(table)
        return names.EXIT_DONE

    return run_main(DaysArgs, body, argv, prog="karma days")


if __name__ == "__main__":
    sys.exit(main())
