"""The docs' table against the cases: every row has a case with its outcome, and every case a row."""

import re

from schemas import reasons
from tests.bad_input.kinds import outcomes
from tests.bad_input.outcomes import documented


def test_every_kind_has_a_row_and_every_row_a_case() -> None:
    assert documented() == outcomes()


def test_every_reason_that_the_code_knows_is_in_the_table() -> None:
    known = {value for name, value in vars(reasons).items() if name.isupper()} | {"bad_type:<column>", "missing:<column>"}
    named = {re.sub("^quarantined ", "", outcome) for outcome in documented().values()}
    assert known - named == set()
