"""The error budget: a load with too many refused rows stops, says why, keeps them in quarantine and writes nothing else."""

import pytest

from jobs.bulk_load import bulk_load
from jobs.error_budget import ALWAYS_TOLERATED, check_budget, refuse_over_budget
from jobs.errors import GateBlockedError, UsageError
from jobs.ingest import IngestOptions
from jobs.stage import exit_code
from jobs.tally import Tally
from schemas import names
from tests.ingest.warehouse import DAY, Warehouse

GOOD = [{"user_id": f"u{n}", "event_time": "2026-03-10", "event_type": "click", "item_id": "i1"} for n in range(50)]
BAD = [{**row, "event_type": "hover"} for row in GOOD] * 3


def test_a_load_over_the_budget_is_blocked_and_can_be_let_through(warehouse: Warehouse) -> None:
    warehouse.land(names.EVENTS, GOOD)
    warehouse.ingest(names.EVENTS)
    warehouse.land(names.EVENTS, BAD, name="part-1")
    version = warehouse.version(names.EVENTS)

    row = warehouse.ingest(names.EVENTS)
    assert (row.status, exit_code(row)) == (names.BLOCKED, 3)
    assert all(
        word in (row.reason or "")
        for word in ("ERROR_BUDGET", "events", f"ds={DAY}", "10.0% of 200", "150 (75.0%)", "unknown_event_type 150")
    )
    assert (row.counts["read"], row.counts["accepted"], row.counts["quarantined"], row.counts["written"]) == (200, 50, 150, 0)
    assert len(warehouse.rows(names.QUARANTINE)) == 150
    assert warehouse.version(names.EVENTS) == version, "something was written"

    let_through = warehouse.ingest(names.EVENTS, error_budget=0.75)
    assert (let_through.status, let_through.counts["written"]) == (names.DONE, 50)
    assert warehouse.ingest(names.EVENTS).status == names.UNCHANGED


def test_the_budget_of_a_bulk_load_is_that_of_all_its_days(warehouse: Warehouse) -> None:
    rows = [{**row, "event_time": f"2026-03-{1 + n % 10:02}"} for n, row in enumerate(GOOD + BAD)]
    warehouse.land(names.EVENTS, rows, ds=None)
    blocked = bulk_load(warehouse.context, names.EVENTS, IngestOptions(bulk=True))
    assert [(row.status, row.counts["quarantined"], row.counts["written"]) for row in blocked] == [(names.BLOCKED, 15, 0)] * 10
    assert len(warehouse.rows(names.QUARANTINE)) == 150
    assert not warehouse.context.tables.exists(names.EVENTS)
    assert len(bulk_load(warehouse.context, names.EVENTS, IngestOptions(bulk=True, error_budget=0.8))) == 10


@pytest.mark.parametrize(
    ("refused", "read", "share", "blocked"),
    [
        (ALWAYS_TOLERATED, ALWAYS_TOLERATED, 0.0, False),
        (ALWAYS_TOLERATED + 1, ALWAYS_TOLERATED + 1, 0.0, True),
        (500, 5_000, 0.1, False),
        (501, 5_000, 0.1, True),
        (5_000, 5_000, 1.0, False),
    ],
)
def test_exactly_the_budget_is_within_it(refused: int, read: int, share: float, blocked: bool) -> None:
    tally = Tally(verdicts={"": read - refused, "future": refused})
    try:
        refuse_over_budget(tally, share, names.EVENTS, "bulk")
    except GateBlockedError:
        assert blocked
    else:
        assert not blocked


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_budget_is_a_share(share: float) -> None:
    with pytest.raises(UsageError, match="ERROR_BUDGET_RANGE"):
        check_budget(share)
