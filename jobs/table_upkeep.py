"""table-upkeep: small files joined, staged runs past their time removed, files of forgotten versions deleted."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from jobs.cli import DayArgs, context_of, run_main
from jobs.digests import digest_of
from jobs.ledger import LedgerRow
from jobs.stage import Context, Outcome, Stage, run_days
from jobs.transforms.days import as_of
from schemas import names
from schemas.upkeep import UPKEEP, Upkeep

CODE_VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class TableUpkeepArgs(DayArgs):
    """Compact, expire and vacuum the tables of the warehouse as schemas/upkeep.py says, as of the end of a day."""


def table_upkeep_stage() -> Stage:
    """The stage. No row of a published table changes, so no other stage depends on it."""
    return Stage(job=names.TABLE_UPKEEP_JOB, input_digest=_input_digest, run=_run)


def _input_digest(context: Context, ds: date) -> str:
    return digest_of(CODE_VERSION, [asdict(policy) for policy in UPKEEP], ds.isoformat())


def _run(context: Context, ds: date, attempt: int) -> Outcome:
    counts = {}
    for policy in UPKEEP:
        if context.tables.exists(policy.table):
            removed = _expire(context, policy, ds)
            if policy.staged_by:
                counts[f"{policy.table}_runs_removed"] = removed
            if policy.compact:
                context.tables.compact(policy.table)
            context.tables.vacuum(policy.table, policy.keep_versions_days)
    return Outcome(output_digest=digest_of(sorted(counts.items())), counts=counts)


def _expire(context: Context, policy: Upkeep, ds: date) -> int:
    if not policy.staged_by:
        return 0
    staged = {row["run_id"] for row in context.tables.read(policy.table).select("run_id").distinct().collect()}
    rows = [row for job in policy.staged_by for row in context.ledger.all_rows(job)]
    published = context.ledger.all_rows(names.PUBLISH_JOB)
    waiting = runs_waiting(rows, published) if policy.table == names.INTEREST_EMBEDDINGS_STAGED else set()
    runs = expired_runs(staged, rows, as_of(ds) - timedelta(days=policy.keep_runs_days)) - waiting
    context.tables.remove_runs(policy.table, runs)
    return len(runs)


def expired_runs(staged: Iterable[str], rows: Iterable[LedgerRow], cutoff: datetime) -> set[str]:
    """The runs of ``staged`` whose newest ledger row is older than ``cutoff``. It is the run's age that counts, not its day's: a
    backfill of an old day is young. A run that the ledger does not know is left alone."""
    newest: dict[str, datetime] = {}
    for row in rows:
        newest[row.run_id] = max(row.at, newest.get(row.run_id, row.at))
    return {run_id for run_id in staged if run_id in newest and newest[run_id] < cutoff}


def runs_waiting(staging: Iterable[LedgerRow], publishing: Iterable[LedgerRow]) -> set[str]:
    """The run that each (day, space) was last staged by, where that is not the one that stands published. Both oldest first."""
    staged = {(row.ds, row.space_id): row.details["staged_run_id"] for row in staging if row.settled}
    published = {(row.ds, row.space_id): row.details.get("staged_run_id") for row in publishing if row.settled}
    return {run_id for key, run_id in staged.items() if published.get(key) != run_id}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of spark-submit and ``karma table-upkeep``."""

    def body(args: TableUpkeepArgs) -> int:
        days = args.days
        context = context_of(args, names.TABLE_UPKEEP_JOB, recompute=args.recompute)
        return run_days(context, [table_upkeep_stage()], days)

    return run_main(TableUpkeepArgs, body, argv, prog="karma table-upkeep")


if __name__ == "__main__":
    sys.exit(main())
