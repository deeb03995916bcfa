"""Why a landed row was not accepted: the stable codes of ``quarantine.reason``, in the order in which a row is judged."""

MALFORMED_ROW = "malformed_row"
"""Not a JSON object, an open quote, too few or too many fields."""
NOT_UTF8 = "not_utf8"
"""A text holds bytes that are not UTF-8."""
NULL_KEY = "null_key"
"""An identifier is missing or blank."""
CONTROL_CHARACTERS = "control_characters"
"""An identifier holds control characters. In titles, categories and queries they stay: the renderer drops them."""
UNKNOWN_EVENT_TYPE = "unknown_event_type"
NEITHER_ITEM_NOR_QUERY = "neither_item_nor_query"
FUTURE = "future"
"""At or after the end of its arrival day."""
TOO_LATE = "too_late"
"""More than max_lateness_days before the start of its arrival day."""
OUT_OF_RANGE = "out_of_range"
"""Outside the days that a bulk load declared."""
DUPLICATE_EVENT_ID = "duplicate_event_id"
DUPLICATE_ITEM = "duplicate_item"
DUPLICATE_IMPRESSION = "duplicate_impression"
DUPLICATE_REQUEST = "duplicate_request"


def bad_type(column: str) -> str:
    """A value that does not read as the contract's type."""
    return f"bad_type:{column}"


def missing(column: str) -> str:
    """A required value, other than an identifier, is missing."""
    return f"missing:{column}"
