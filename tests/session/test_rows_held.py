"""Rows that the driver holds of a small table are those of the table, whoever writes to it."""

from datetime import UTC, date, datetime

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
