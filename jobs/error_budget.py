"""The error budget: how much of a load may be refused before the day stops, with nothing of it written or published."""

from collections.abc import Mapping

from jobs.errors import GateBlockedError, UsageError
from jobs.tally import Tally

ALWAYS_TOLERATED = 100
"""So many refused rows stop no load: a share says little about a handful of rows."""


def check_budget(share: float) -> float:
    """``share`` itself. Raises UsageError where it is no share of all rows."""
    if not 0 <= share <= 1:
        raise UsageError("ERROR_BUDGET_RANGE", "--error-budget is no share of the rows read", expected="0 to 1", got=share)
    return share


def refuse_over_budget(tally: Tally, share: float, table: str, partition: str, details: Mapping[str, str] | None = None) -> None:
    """Raises GateBlockedError where more than ``share`` of the rows of a load, and more than ALWAYS_TOLERATED, were refused.

    ``details``: of the ledger row that says so. For between the write of the refused rows, which say why, and that of the accepted ones.
    """
    refused, read = tally.quarantined, tally.judged
    if refused <= max(ALWAYS_TOLERATED, share * read):
        return
    worst = ", ".join(f"{reason} {n:,}" for reason, n in sorted(tally.refused.items(), key=lambda entry: -entry[1])[:5])
    raise GateBlockedError(
        "ERROR_BUDGET", "more rows were refused than the error budget allows", table=table, partition=partition,
        expected=f"at most {share:.1%} of {read:,} rows", got=f"{refused:,} ({refused / read:.1%}): {worst}",
        hint="quarantine holds the rows: mend or land them anew, or raise --error-budget if they are meant to go",
        counts=blocked_counts(tally), details=details,
    )  # fmt: skip


def blocked_counts(tally: Tally) -> dict[str, int]:
    """The ledger's counts of a load that was judged and then stopped: nothing was written."""
    return {**tally.counts, "written": 0}
