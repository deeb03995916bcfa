"""Landing partitions that cannot be meant: exit code, code and message, and the tables as they were."""

from collections.abc import Callable

import pytest

from jobs import ingest_events
from schemas import names
from tests.bad_input.landings import EMPTY_DAYS, EVENT, KINDS, SAYS, Landing
from tests.bad_input.outcomes import documented, ended
from tests.ingest.warehouse import DAY, Warehouse

CASES = [(kind, landing) for kind, landings in KINDS.items() for landing in landings]


@pytest.mark.parametrize(("kind", "landing"), CASES, ids=[kind for kind, _ in CASES])
def test_the_job_ends_with_a_clear_error(warehouse: Warehouse, kind: str, landing: Landing, caplog: pytest.LogCaptureFixture) -> None:
    landing.lands(warehouse)
    arguments = [argument.format(root=warehouse.root) for argument in landing.arguments]
    code = ingest_events.main(["--root", str(warehouse.root), *arguments])
    assert ended(code, caplog.text) == landing.outcome == documented()[kind]
    for said in (*SAYS, *landing.says):
        assert said in caplog.text
    assert not warehouse.context.tables.exists(names.EVENTS)
    assert not warehouse.context.tables.exists(names.QUARANTINE)
    state = warehouse.context.ledger.state(names.INGEST_EVENTS_JOB, DAY)
    if code == names.EXIT_USAGE:
        assert state is None
    else:
        assert state is not None
        assert state.status == (names.MISSING_INPUT if code == names.EXIT_INPUT_MISSING else names.FAILED)
        assert landing.outcome.split()[-1] in str(state.reason)


EMPTY = [(kind, lands) for kind, ways in EMPTY_DAYS.items() for lands in ways]


@pytest.mark.parametrize(("kind", "lands"), EMPTY, ids=[kind for kind, _ in EMPTY])
def test_a_marker_without_rows_is_an_empty_day(warehouse: Warehouse, kind: str, lands: Callable[[Warehouse], object]) -> None:
    lands(warehouse)
    assert ended(ingest_events.main(["--root", str(warehouse.root), "--ds", str(DAY)]), "") == documented()[kind]
    row = warehouse.context.ledger.state(names.INGEST_EVENTS_JOB, DAY)
    assert row is not None
    assert (row.status, row.counts["read"], row.counts["accepted"], row.counts["quarantined"]) == (names.DONE, 0, 0, 0)
    assert warehouse.rows(names.EVENTS) == []


def test_a_mended_partition_is_taken_after_a_failure(warehouse: Warehouse) -> None:
    folder = warehouse.land(names.EVENTS, [])
    (folder / "part-0.parquet").write_text("torn")
    assert warehouse.ingest(names.EVENTS).status == names.FAILED
    warehouse.land(names.EVENTS, [EVENT])
    row = warehouse.ingest(names.EVENTS)
    assert (row.status, row.attempt, row.counts["accepted"]) == (names.DONE, 2, 1)
