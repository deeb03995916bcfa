"""Errors that a job may end with. Each knows its exit code, a stable code, and what was expected and got."""

from collections.abc import Mapping

from schemas import names


class JobError(Exception):
    """Raised when a job cannot go on: the message names table, column, partition, expected, got and a hint."""

    exit_code = names.EXIT_FAILED
    status = names.FAILED

    def __init__(
        self,
        code: str,
        message: str,
        *,
        table: str | None = None,
        column: str | None = None,
        partition: str | None = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
        details: Mapping[str, str] | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> None:
        self.code = code
        self.details = dict(details or {})  # for the ledger row: what a reader looks up by name
        self.counts = dict(counts or {})  # likewise
        context = {"table": table, "column": column, "partition": partition, "expected": expected, "got": got}
        facts = "; ".join(f"{name}: {value}" for name, value in context.items() if value is not None)
        super().__init__(f"[{code}] {message}" + (f" ({facts})" if facts else "") + (f" Hint: {hint}" if hint else ""))


class UsageError(JobError):
    """Raised when the arguments cannot be meant: a --ds that is no date, two flags that exclude each other."""

    exit_code = names.EXIT_USAGE


class GateBlockedError(JobError):
    """Raised when a gate refused staged rows: nothing was published."""

    exit_code = names.EXIT_GATE_BLOCKED
    status = names.BLOCKED


class InputMissingError(JobError):
    """Raised when an input is not there yet: no success marker, or an earlier stage of the day is not done."""

    exit_code = names.EXIT_INPUT_MISSING
    status = names.MISSING_INPUT


class SupersededError(JobError):
    """Raised when a newer attempt at the same (job, ds, space) exists: this one must not publish."""

    status = names.SUPERSEDED


class VersionGoneError(JobError):
    """Raised when an older version of a table can be read no more."""


class SpaceMixError(JobError):
    """Raised when vectors of two spaces would meet in a join, a drift check or a carry (P2)."""
