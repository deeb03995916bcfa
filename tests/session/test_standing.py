"""Which attempt at a day says what the tables hold."""

from datetime import UTC, date, datetime

import pytest

from jobs.ledger import LedgerRow, standing_rows
from schemas import names

D = date(2026, 3, 1)


def attempts(*words: str) -> list[LedgerRow]:
    """Each word: the statuses of one attempt, joined by ``>``."""
    return [
        LedgerRow(run_id=f"r{number}", job="j", ds=D, space_id="", attempt=number, status=status, at=datetime(2026, 3, 2, tzinfo=UTC))
        for number, word in enumerate(words, start=1)
        for status in word.split(">")
    ]


@pytest.mark.parametrize(
    ("history", "stands"),
    [
        (["started>done", "unchanged"], 2),
        (["started>done", "missing_input"], 1),
        (["started>done", "started>missing_input"], 1),  # found missing on the way: nothing was written
        (["started>done", "failed"], 1),  # refused before it started
        (["started>done", "started>failed"], 2),  # it may have written
        (["started>done", "started"], 2),  # killed, or at work
        (["done", "started>superseded", "missing_input"], 2),
        (["missing_input"], None),
    ],
)
def test_it_is_the_newest_that_may_have_written(history: list[str], stands: int | None) -> None:
    found = standing_rows(attempts(*history)).get(D)
    assert (found and found.attempt) == stands


def test_two_runs_that_share_a_number_are_two_attempts() -> None:
    rows = attempts("started>done")
    other = LedgerRow(run_id="other", job="j", ds=D, space_id="", attempt=1, status=names.MISSING_INPUT, at=rows[-1].at)
    assert standing_rows([*rows, other])[D] == rows[-1]
