"""Counting a load: nothing is lost in silence."""

import pytest

from jobs.errors import JobError
from jobs.tally import Tally, check_nothing_lost


def test_a_lost_or_doubled_row_stops_the_load() -> None:
    check_nothing_lost(3, 3, "events", "ds=2026-03-10")
    for judged in (2, 4):
        with pytest.raises(JobError, match="ROWS_LOST") as raised:
            check_nothing_lost(3, judged, "events", "ds=2026-03-10")
        assert f"expected: 3; got: {judged}" in str(raised.value)


def test_the_counts_of_a_day() -> None:
    tally = Tally(verdicts={"": 5, "unchanged_version": 2, "null_key": 1, "future": 3}, facts={"image_missing": 4})
    assert tally.counts == {
        "read": 5 + 2 + 1 + 3,
        "accepted": 5 + 2,
        "quarantined": 1 + 3,
        "written": 5,
        "unchanged_versions": 2,
        "quarantined_future": 3,
        "quarantined_null_key": 1,
        "image_missing": 4,
    }


def test_rows_without_a_day_of_their_own_count_with_another() -> None:
    placed = Tally(verdicts={"": 5, "null_key": 1}, digest="d", facts={"late": 1})
    astray = Tally(verdicts={"null_key": 2, "out_of_range": 4}, digest="e")
    assert placed.plus(astray) == Tally(verdicts={"": 5, "null_key": 3, "out_of_range": 4}, digest="d", facts={"late": 1})
