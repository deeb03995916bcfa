"""Names that more than one part of the project spells: tables, jobs, exit codes, statuses, reason codes.

This module imports nothing, so that a scheduler can read it without Spark or torch.
Column names live in the contracts beside it (``schemas.contracts``): Spark refuses a mistyped column at analysis.
"""

# Tables: `<warehouse>/<name>/`, a Delta table each.
EVENTS = "events"
ITEMS = "items"
IMPRESSIONS = "impressions"
REQUESTS = "requests"
VISUAL_FEATURES = "visual_features"
ITEM_EMBEDDINGS_STAGED = "item_embeddings_staged"
ITEM_EMBEDDINGS = "item_embeddings"
USER_HISTORIES = "user_histories"
INTEREST_EMBEDDINGS_STAGED = "interest_embeddings_staged"
INTEREST_EMBEDDINGS = "interest_embeddings"
RANKING_FEATURES_STAGED = "ranking_features_staged"
RANKING_FEATURES = "ranking_features"
REQUEST_EMBEDDINGS_STAGED = "request_embeddings_staged"
REQUEST_EMBEDDINGS = "request_embeddings"
QUARANTINE = "quarantine"
RUN_LEDGER = "run_ledger"
ENCODER_VERSIONS = "encoder_versions"

# Jobs: `karma <job>` and the `job` column of ledger and quarantine. `jobs/<underscored>.py` is the spark-submit entry point.
INGEST_EVENTS_JOB = "ingest-events"
INGEST_ITEMS_JOB = "ingest-items"
INGEST_IMPRESSIONS_JOB = "ingest-impressions"
INGEST_REQUESTS_JOB = "ingest-requests"
VISUAL_FEATURES_JOB = "visual-features"
ITEM_EMBEDDINGS_JOB = "item-embeddings"
USER_HISTORIES_JOB = "user-histories"
INTEREST_EMBEDDINGS_JOB = "interest-embeddings"
VALIDATE_JOB = "validate"
PUBLISH_JOB = "publish"
RANKING_FEATURES_JOB = "ranking-features"
LOOK_BACK_JOB = "ranking-features-look-back"  # ledger rows of --known-at
REQUEST_EMBEDDINGS_JOB = "request-embeddings"
TRAINING_EXAMPLES_JOB = "training-examples"
TRAIN_ENCODER_JOB = "train-encoder"
EVALUATE_JOB = "evaluate-encoder"
TRAINING_SHARDS_JOB = "training-shards"
PROMOTE_JOB = "promote"
RETIRE_JOB = "retire"
TABLE_UPKEEP_JOB = "table-upkeep"
LEAVE_LAST_OUT_JOB = "leave-last-out"
OWN_DATA_JOB = "own-data"

# Exit codes of every job.
EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_GATE_BLOCKED = 3
EXIT_INPUT_MISSING = 4

# Ledger statuses: the state of (job, ds, space) is its newest row.
STARTED = "started"
DONE = "done"
UNCHANGED = "unchanged"
MISSING_INPUT = "missing_input"
BLOCKED = "blocked"
FAILED = "failed"
SUPERSEDED = "superseded"
SETTLED = (DONE, UNCHANGED)  # the day's result stands

# Publication of a snapshot (column `publication`).
LIVE = "live"
SIMULATED = "simulated"

# Why an impression has no interest vector, or no candidate vector, or a request no vector (column `missing_reason`).
NO_HISTORY = "no_history"
NOT_PUBLISHED = "not_published"
TRAINED_AFTER = "trained_after"
NO_ITEM_VECTOR = "no_item_vector"
NO_QUERY = "no_query"

# Event types.
QUERY = "query"
CLICK = "click"
CART = "cart"
PURCHASE = "purchase"
RATING = "rating"
EVENT_TYPES = (QUERY, CLICK, CART, PURCHASE, RATING)

# Encoder statuses and the alias that a promotion moves.
CANDIDATE = "candidate"
ACTIVE = "active"
RETIRED = "retired"
CHAMPION = "champion"

SUCCESS_MARKER = "_SUCCESS"
DEFAULT_MAX_LATENESS_DAYS = 7
DEFAULT_ERROR_BUDGET = 0.1
DEFAULT_N_MAX = 256
DEFAULT_LABEL_WINDOW_DAYS = 28
DEFAULT_PUBLICATION_LAG_HOURS = 2
