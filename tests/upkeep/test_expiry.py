"""Which staged runs go, and which must stay."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from jobs.ledger import LedgerRow
from jobs.table_upkeep import expired_runs, runs_waiting
from schemas import names
from schemas.contracts import CONTRACTS
from schemas.upkeep import UPKEEP

NOW = datetime(2026, 3, 31, tzinfo=UTC)


def row(run_id: str, *, days_ago: float = 0, ds: date = date(2026, 3, 1), status: str = names.DONE, **details: Any) -> LedgerRow:
    at = NOW - timedelta(days=days_ago)
    return LedgerRow(run_id=run_id, job="j", ds=ds, space_id="s", attempt=1, status=status, at=at, details=details)


def test_every_table_has_its_policy_and_its_reason() -> None:
    assert sorted(policy.table for policy in UPKEEP) == sorted(CONTRACTS)
    assert all(policy.reason for policy in UPKEEP)


def test_only_staged_tables_lose_rows() -> None:
    assert {policy.table for policy in UPKEEP if policy.staged_by} == {name for name in CONTRACTS if name.endswith("_staged")}


def test_a_version_that_a_verdict_names_keeps_its_files() -> None:
    """Publish reads the staged table at that version: compaction would move its files out, and vacuum would delete them."""
    for policy in UPKEEP:
        if policy.staged_by:
            assert not policy.compact
    interests = next(policy for policy in UPKEEP if policy.table == names.INTEREST_EMBEDDINGS_STAGED)
    assert interests.keep_versions_days >= interests.keep_runs_days


def test_a_run_expires_by_its_own_age_not_by_that_of_its_day() -> None:
    rows = [row("old", days_ago=20), row("backfill", days_ago=1, ds=date(2025, 1, 1))]
    assert expired_runs(["old", "backfill"], rows, NOW - timedelta(days=14)) == {"old"}


def test_a_run_is_as_old_as_its_newest_row() -> None:
    rows = [row("long", days_ago=15, status=names.STARTED), row("long", days_ago=13)]
    assert expired_runs(["long"], rows, NOW - timedelta(days=14)) == set()


def test_a_run_that_the_ledger_does_not_know_is_left_alone() -> None:
    assert expired_runs(["stranger"], [], NOW) == set()


def test_what_waits_to_be_published_is_kept() -> None:
    """Run b replaced a's staging after a was published: b waits."""
    staging = [row("a", staged_run_id="a"), row("b", staged_run_id="b")]
    published = [row("p", staged_run_id="a")]
    assert runs_waiting(staging, published) == {"b"}
    assert runs_waiting(staging[:1], published) == set()
    assert runs_waiting(staging, []) == {"b"}


def test_an_unchanged_staging_names_the_run_that_wrote_the_rows() -> None:
    staging = [row("a", staged_run_id="a"), row("later", status=names.UNCHANGED, staged_run_id="a")]
    assert runs_waiting(staging, []) == {"a"}
