"""requests, and request_embeddings: what a user typed, as the encoder reads it after the history of that instant."""

from schemas import names
from schemas.contract import Column, Contract, optional, required

REQUESTS = Contract(
    table=names.REQUESTS,
    key=("request_id",),
    partition_by=("ds",),
    columns=(
        required("request_id", "string", "one request for a ranking"),
        required("ds", "date", "arrival day"),
        required("user_id", "string", "who asks"),
        required("request_time", "timestamp", "when (us, UTC)"),
        required("query", "string", "what was typed"),
    ),
)

_COLUMNS: tuple[Column, ...] = (
    required("request_id", "string", "the request, of the table requests or of impressions"),
    required("space_id", "string", "in which space"),
    required("ds", "date", "arrival day of the request"),
    required("run_id", "string", "the run that staged the row"),
    required("user_id", "string", "who asks"),
    required("request_time", "timestamp", "when (us, UTC)"),
    optional("query", "string", "what was typed; null where an impression has none"),
    optional("fingerprint", "string", "hex digest of exactly what the encoder read; null where it read nothing"),
    required("history_len", "int", "events before the query that the encoder may read; 0 for a user without any"),
    optional("last_event_time", "timestamp", "time of the newest of them, before request_time (us, UTC)"),
    required("trained_until", "timestamp", "nothing at or after this instant influenced the encoder (UTC)"),
    optional("missing_reason", "string", "no_query or trained_after"),
)
_EMBEDDING = optional("embedding", "array<float>", "unit vector; null with a missing_reason")

REQUEST_EMBEDDINGS = Contract(
    table=names.REQUEST_EMBEDDINGS,
    key=("request_id", "space_id"),
    partition_by=("ds", "space_id"),
    columns=(*_COLUMNS, required("created_at", "timestamp", "the job's clock (UTC)"), _EMBEDDING),
)

REQUEST_EMBEDDINGS_STAGED = Contract(
    table=names.REQUEST_EMBEDDINGS_STAGED,
    key=(*REQUEST_EMBEDDINGS.key, "run_id"),
    partition_by=("ds", "space_id", "run_id"),
    columns=(*_COLUMNS, _EMBEDDING),
)
