"""events: what users did; partitioned by arrival day."""

from schemas import names
from schemas.contract import Contract, optional, required

EVENTS = Contract(
    table=names.EVENTS,
    key=("event_id",),
    partition_by=("ds",),
    columns=(
        required("event_id", "string", "the source's id, or a digest of the source columns and the ordinal among identical rows of ds"),
        required("ds", "date", "arrival day"),
        required("user_id", "string", "who"),
        required("event_time", "timestamp", "when it happened (us, UTC)"),
        required("event_type", "string", "one of schemas.names.EVENT_TYPES"),
        optional("item_id", "string", "the item taken; null for a query alone"),
        optional("query", "string", "what was typed; a row with both is one event: typed this, took that"),
        optional("value", "double", "stars, quantity or another weight of the source; not read by the encoder"),
    ),
)
