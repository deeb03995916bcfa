"""The docs' table of bad input, read: what each kind must come to. ``test_documented`` holds it against the cases."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs" / "bad-input.md"
COLUMNS = ("kind", "what it looks like", "outcome", "what to do")

_OUTCOME = re.compile(r"accepted|quarantined `[a-z0-9_]+(:<column>)?`|exit [1-4] `[A-Z0-9_]+`")


def documented() -> dict[str, str]:
    """The outcome of every kind of the table: ``accepted``, ``quarantined <reason>`` or ``exit <code> <ERROR>``."""
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in DOCS.read_text().splitlines() if line.startswith("|")]
    header = rows.index(list(COLUMNS))
    return {kind: _outcome(kind, outcome) for kind, _, outcome, _ in rows[header + 2 :]}


def _outcome(kind: str, cell: str) -> str:
    found = _OUTCOME.match(cell)
    assert found, f"{kind}: {cell!r} does not begin with an outcome"
    return found.group().replace("`", "")


def quarantined(reason: str) -> str:
    """The outcome of a row in quarantine; the column that a reason names aside."""
    return "quarantined " + re.sub(r":.*", ":<column>", reason)


def ended(exit_code: int, said: str) -> str:
    """The outcome of a job by its exit code and what it logged."""
    codes = re.findall(r"\[([A-Z0-9_]{4,})\] ", said)
    return f"exit {exit_code} {codes[0] if codes else '(no code)'}" if exit_code else "accepted"
