"""What a gate says: one result a rule and frame, and the whole verdict in words."""

from dataclasses import dataclass
from pathlib import Path

from jobs.errors import GateBlockedError

PASSED = "passed"
FAILED = "failed"
NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, kw_only=True)
class RuleResult:
    """One rule on one frame.

    Attributes:
        status: passed, failed or not_applicable.
        observed: what was found, in words; for not_applicable what was absent.
        expected: the bound, in words.
        reason: why that bound.
    """

    rule: str
    frame: str
    status: str
    observed: str
    expected: str
    reason: str

    def in_words(self) -> str:
        return f"rule {self.rule}, frame {self.frame}: observed {self.observed}, expected {self.expected}, because {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a staged frame may be published.

    Attributes:
        passed: no rule failed. Rules that are not applicable do not count as passed ones; they are listed with what was absent.
        rules: every declared rule, in the order of declaration.
        rows: rows of the staged frame; publish takes exactly these.
        docs: the index page of this verdict's Data Docs.
    """

    passed: bool
    rules: tuple[RuleResult, ...]
    rows: int
    docs: Path

    def with_status(self, status: str) -> tuple[RuleResult, ...]:
        return tuple(result for result in self.rules if result.status == status)

    def failures_in_words(self) -> str:
        """One line a failed rule, with its figures and its reason; empty where none failed."""
        return "\n".join(result.in_words() for result in self.with_status(FAILED))

    def summary(self) -> str:
        """``31 rules passed, 0 failed, 4 not applicable``."""
        passed, failed, absent = (len(self.with_status(status)) for status in (PASSED, FAILED, NOT_APPLICABLE))
        return f"{passed} rules passed, {failed} failed, {absent} not applicable"


def refuse_blocked(verdict: Verdict, table: str, partition: str) -> None:
    """Raises GateBlockedError, with the failed rules in words, where ``verdict`` did not pass."""
    if not verdict.passed:
        raise GateBlockedError(
            "GATE_BLOCKED", verdict.failures_in_words(), table=table, partition=partition, hint=f"Data Docs: {verdict.docs}",
            details={"data_docs": str(verdict.docs)},
        )  # fmt: skip
