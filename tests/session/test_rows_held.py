"""Rows that the driver holds of a small table are those of the table, whoever writes to it."""

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from jobs.ledger import Ledger, LedgerRow
from jobs.places import Places
from jobs.tables import Tables
from schemas import names


def a_row(attempt: int) -> LedgerRow:
    at = datetime(2026, 3, 1, 12, attempt, tzinfo=UTC)
    details = {"reason": "a map"} if attempt % 2 else {}
    return LedgerRow(
        run_id=f"r{attempt}", job="j", ds=date(2026, 3, 1), space_id="s", attempt=attempt, status=names.DONE, at=at, details=details
    )


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 1), st.booleans()), min_size=1, max_size=8))
def test_two_writers_see_each_other_s_rows(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, turns: list[tuple[int, bool]]
) -> None:
    root = tmp_path_factory.mktemp("ledger")
    writers = [Ledger(Tables(spark, Places(str(root)))) for _ in range(2)]
    written = []
    for attempt, (who, other_looks) in enumerate(turns, start=1):
        writers[who].append(a_row(attempt))
        written.append(a_row(attempt))
        assert writers[who].rows("j", "s") == written
        if other_looks:
            assert writers[1 - who].rows("j", "s") == written


def test_a_ledger_that_was_restored_to_an_earlier_state_is_read_as_it_is_now(spark: SparkSession, tmp_path: Path) -> None:
    places = Places(str(tmp_path))
    ledger, other = Ledger(Tables(spark, places)), Ledger(Tables(spark, places))
    for attempt in range(1, 6):
        ledger.append(a_row(attempt))
    assert len(ledger.rows("j", "s")) == 5
    shutil.rmtree(places.table(names.RUN_LEDGER))
    other.append(a_row(6))
    other.append(a_row(7))
    assert ledger.rows("j", "s") == [a_row(6), a_row(7)]
    ledger.append(a_row(8))
    assert ledger.rows("j", "s") == [a_row(6), a_row(7), a_row(8)]
