"""All kinds of bad input that have a case, with their outcomes."""

from tests.bad_input import landings, pictures, rows
from tests.bad_input.outcomes import quarantined

PLACES = {
    "a warehouse that is a file": "exit 2 NOT_A_WAREHOUSE",
    "a warehouse that is another folder": "exit 2 NOT_A_WAREHOUSE",
    "a table of another schema": "exit 1 FOREIGN_TABLE",
    "a table with a torn log": "exit 1 UNREADABLE_TABLE",
    "a read-only warehouse": "exit 1 NOT_WRITABLE",
    "a full disk": "exit 1 STORAGE_FULL",
}
USERS = {"a user with 1M events": "accepted", "one user who is 90 % of all events": "accepted"}
NOTHING = {
    "no events at all": "exit 4 NO_EVENTS",
    "too many refused rows": "exit 3 ERROR_BUDGET",
    "an empty first day": "accepted",
}
MODELS = {"a pretrained model that cannot be one": "exit 1 PRETRAINED_MODEL"}
LINES = {"a broken line": "quarantined malformed_row", "a day outside a bulk": "quarantined out_of_range"}


def outcomes() -> dict[str, str]:
    """The outcome of every kind."""
    of_rows = {kind: "accepted" if of[0].reason == rows.ACCEPTED else quarantined(of[0].reason) for kind, of in rows.KINDS.items()}
    of_landings = {kind: cases[0].outcome for kind, cases in landings.KINDS.items()} | dict.fromkeys(landings.EMPTY_DAYS, "accepted")
    of_pictures = {kind: outcome for kind, (outcome, _) in pictures.KINDS.items()}
    return {**of_rows, **LINES, **of_landings, **of_pictures, **PLACES, **USERS, **NOTHING, **MODELS}
