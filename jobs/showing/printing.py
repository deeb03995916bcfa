"""The printed summary of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from jobs.ledger import LedgerRow
from jobs.showing.words import UserInWords
from schemas import names


def table_of(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A rich table; every cell as text."""
    table = Table(*header, title=title, title_justify="left")
    for row in rows:
        table.add_row(*[str(cell) for cell in row])
    return table


def print_days(console: Console, rows: Sequence[LedgerRow]) -> None:
    """A line a stage and day: status, what it counted, seconds."""
    lines = [
        (
            row.ds,
            row.job,
            row.status,
            ", ".join(f"{name} {count:,}" for name, count in row.counts.items() if count),
            f"{row.durations.get('total', 0):.1f}",
        )
        for row in rows
    ]
    console.print(table_of("Stages", ("ds", "job", "status", "counts", "s"), lines))


def print_tables(console: Console, rows: Mapping[str, int], quarantined: Mapping[str, Mapping[str, int]]) -> None:
    """Rows a table, and what was refused and why."""
    console.print(table_of("Tables", ("table", "rows"), [(table, f"{count:,}") for table, count in rows.items()]))
    refused = [(table, reason, count) for table, reasons in quarantined.items() for reason, count in reasons.items()]
    console.print(table_of("Quarantine", ("table", "reason", "rows"), refused))


def print_gates(console: Console, verdicts: Sequence[Mapping[str, Any]]) -> None:
    """A line a verdict."""
    lines = [(verdict["ds"], verdict["job"], verdict["verdict"], verdict["reason"] or "") for verdict in verdicts]
    console.print(table_of("Gates", ("ds", "job", "verdict", "why"), lines))


def print_carried(console: Console, rows: Sequence[LedgerRow]) -> None:
    """What was encoded and what was carried, a day."""
    staged = [row for row in rows if row.job == names.INTEREST_EMBEDDINGS_JOB]
    lines = [(row.ds, *(f"{row.counts.get(name, 0):,}" for name in ("users", "encoded", "carried")), _waste(row.counts)) for row in staged]
    console.print(table_of("Interest embeddings", ("ds", "users", "encoded", "carried", "padding waste"), lines))


def _waste(counts: Mapping[str, int]) -> str:
    padded = counts.get("padded_tokens", 0)
    return f"{1 - counts['tokens'] / padded:.1%}" if padded else "-"


def print_row(console: Console, row: Mapping[str, Any]) -> None:
    """One full row of interest_embeddings; of its vector the first components."""
    vector = row["embedding"]
    shown = {**row, "embedding": f"[{', '.join(f'{x:+.3f}' for x in vector[:6])}, ...] ({len(vector)} floats)"}
    console.print(table_of("One row of interest_embeddings", ("column", "value"), list(shown.items())))


def print_user(console: Console, user: UserInWords) -> None:
    """A user's newest events, and the items nearest to the interest vector."""
    console.print(table_of(f"{user.user_id}: newest events", ("event",), [(line,) for line in user.history]))
    console.print(table_of(f"{user.user_id}: nearest items", ("cosine, title",), [(line,) for line in user.nearest]))
