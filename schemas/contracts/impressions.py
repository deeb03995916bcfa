"""impressions: what was shown, with its label; partitioned by arrival day."""

from schemas import names
from schemas.contract import Contract, optional, required

IMPRESSIONS = Contract(
    table=names.IMPRESSIONS,
    key=("request_id", "item_id"),
    partition_by=("ds",),
    columns=(
        required("request_id", "string", "one request for a ranking"),
        required("item_id", "string", "the candidate shown"),
        required("ds", "date", "arrival day"),
        required("user_id", "string", "to whom"),
        required("impression_time", "timestamp", "when it was shown (us, UTC)"),
        optional("query", "string", "what was typed"),
        optional("position", "int", "rank on the page, from 1"),
        required("clicked", "boolean", "the label"),
    ),
)
