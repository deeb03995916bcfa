"""ranking_features: impressions with the interest vector that was readable when they happened."""

from schemas import names
from schemas.contract import Contract, optional, required

RANKING_FEATURES = Contract(
    table=names.RANKING_FEATURES,
    key=("request_id", "item_id", "space_id"),
    partition_by=("ds", "space_id"),
    columns=(
        required("request_id", "string", "the impression's request"),
        required("item_id", "string", "the candidate shown"),
        required("space_id", "string", "in which space"),
        required("ds", "date", "arrival day of the impression"),
        required("user_id", "string", "to whom"),
        required("impression_time", "timestamp", "when it was shown (us, UTC)"),
        required("clicked", "boolean", "the label"),
        optional("vector_ds", "date", "ds of the snapshot that was readable at impression_time"),
        optional("vector_age", "double", "seconds from that snapshot's as_of to impression_time"),
        optional("last_event_age", "double", "seconds from the user's newest event in it to impression_time"),
        optional("candidate_cosine", "double", "cosine of interest and candidate vector"),
        optional("missing_reason", "string", "no_history, not_published, trained_after or no_item_vector"),
        optional("interest_embedding", "array<float>", "unit vector; null with a missing_reason"),
    ),
)

RANKING_FEATURES_STAGED = Contract(
    table=names.RANKING_FEATURES_STAGED,
    key=(*RANKING_FEATURES.key, "run_id"),
    partition_by=("ds", "space_id", "run_id"),
    columns=(
        *RANKING_FEATURES.columns[:4],
        required("run_id", "string", "the staging run"),
        *RANKING_FEATURES.columns[4:],
    ),
)
