"""The encoder's inputs and outputs a day: visual features, item vectors, histories, staged and published interests."""

from schemas import names
from schemas.contract import Column, Contract, required

VISUAL_FEATURES = Contract(
    table=names.VISUAL_FEATURES,
    key=("image_sha256", "vision_digest"),
    columns=(
        required("image_sha256", "string", "hex digest of the image's bytes"),
        required("vision_digest", "string", "digest of the frozen vision encoder and its preprocessing"),
        required("features", "array<float>", "frozen features of the whole image"),
    ),
)

ITEM_EMBEDDINGS = Contract(
    table=names.ITEM_EMBEDDINGS,
    key=("content_hash", "space_id"),
    partition_by=("space_id",),
    columns=(
        required("content_hash", "string", "what was encoded (items.content_hash)"),
        required("space_id", "string", "in which space"),
        required("embedding", "array<float>", "unit vector; immutable"),
    ),
)

ITEM_EMBEDDINGS_STAGED = Contract(
    table=names.ITEM_EMBEDDINGS_STAGED,
    key=("content_hash", "space_id", "run_id"),
    partition_by=("space_id", "run_id"),
    columns=(*ITEM_EMBEDDINGS.columns[:2], required("run_id", "string", "the staging run"), ITEM_EMBEDDINGS.columns[2]),
)

USER_HISTORIES = Contract(
    table=names.USER_HISTORIES,
    key=("user_id", "ds"),
    partition_by=("ds",),
    columns=(
        required("user_id", "string", "who"),
        required("ds", "date", "history as of the end of this day"),
        required("event_ids", "array<string>", "the newest N_max events, oldest first, in the order (event_time, event_id)"),
        required("event_times", "array<timestamp>", "event times, same order (us, UTC)"),
        required("event_types", "array<string>", "event types, same order"),
        required("item_ids", "array<string>", "items, same order; null for a query alone"),
        required("queries", "array<string>", "queries, same order; null where nothing was typed"),
    ),
)

_INTEREST_COLUMNS: tuple[Column, ...] = (
    required("user_id", "string", "who"),
    required("ds", "date", "as of the end of this day"),
    required("space_id", "string", "in which space"),
    required("run_id", "string", "the run that staged the row"),
    required("encoded_ds", "date", "the day whose run computed the vector; earlier or later than ds where it was carried"),
    required("fingerprint", "string", "hex digest of exactly what the encoder read for this user"),
    required("history_len", "int", "events in the history, at most N_max"),
    required("last_event_time", "timestamp", "time of the newest event of the history (us, UTC)"),
    required("as_of", "timestamp", "ds + 1 day, 00:00 UTC: the history holds event_time < as_of"),
)

INTEREST_EMBEDDINGS_STAGED = Contract(
    table=names.INTEREST_EMBEDDINGS_STAGED,
    key=("user_id", "ds", "space_id", "run_id"),
    partition_by=("ds", "space_id", "run_id"),
    columns=(*_INTEREST_COLUMNS, required("embedding", "array<float>", "unit vector")),
)

INTEREST_EMBEDDINGS = Contract(
    table=names.INTEREST_EMBEDDINGS,
    key=("user_id", "ds", "space_id"),
    partition_by=("ds", "space_id"),
    columns=(
        *_INTEREST_COLUMNS,
        required("created_at", "timestamp", "the publish job's clock (UTC)"),
        required("available_at", "timestamp", "from when a consumer could have read the row (UTC), inclusive"),
        required("trained_until", "timestamp", "nothing at or after this instant influenced the encoder (UTC)"),
        required("publication", "string", "live, or simulated: available_at is as_of plus the declared lag"),
        required("embedding", "array<float>", "unit vector"),
    ),
)
