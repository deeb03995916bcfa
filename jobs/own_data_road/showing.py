"""What own-data prints at its end."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from jobs.landing import BULK
from jobs.landing_images import LANDING
from jobs.ledger import LedgerRow
from jobs.showing.held_out import print_held_out
from jobs.showing.printing import print_carried, print_days, print_gates, print_tables, table_of
from jobs.stage import Context
from schemas import names

_INGEST_JOBS = {names.EVENTS: names.INGEST_EVENTS_JOB, names.ITEMS: names.INGEST_ITEMS_JOB, names.IMPRESSIONS: names.INGEST_IMPRESSIONS_JOB}


def ingested(context: Context) -> dict[str, dict[str, int]]:
    """By table the counts of its bulk load, all days together: read = accepted + quarantined, and quarantined by reason."""
    loads = {table: context.ledger.states(job).values() for table, job in _INGEST_JOBS.items()}
    return {table: _added(row.counts for row in rows if row.details.get(LANDING) == BULK) for table, rows in loads.items()}


def _added(counts: Any) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)


def show(console: Console, summary: Mapping[str, Any], rows: Sequence[LedgerRow]) -> None:
    """Print the summary; ``rows``: the final ledger rows of the road, of which a bulk's days are left out."""
    print_days(console, [row for row in rows if row.job not in _INGEST_JOBS.values()])
    lines = [(table, name, f"{count:,}") for table, counts in summary["ingested"].items() for name, count in counts.items()]
    console.print(table_of("Ingested", ("table", "count", "rows"), lines))
    print_tables(console, summary["rows"], summary["quarantined"])
    print_gates(console, summary["gates"])
    print_carried(console, rows)
    if "leave_last_out" in summary["metrics"]:
        print_held_out(console, summary["metrics"]["leave_last_out"], "Leave-last-out")
    _print_join(console, summary["join"])
    console.print(table_of("Seconds", ("step", "s"), list(summary["seconds"].items())))
    console.print(table_of("Where", ("what", "path"), list(summary["paths"].items())))


def _print_join(console: Console, join: Mapping[str, Any]) -> None:
    console.print(table_of("Impressions of the published days", ("outcome", "rows"), list(join["by_missing_reason"].items())))
    share = "n/a" if join["share"] is None else f"{join['share']:.1%}"
    console.print(f"{join['expected_with_vector']:,} of {join['expected']:,} ({share}) where a vector could be expected carry one.")
