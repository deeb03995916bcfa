"""How long what lies in a table is kept, with the reasons: one home.

Rows of published tables and of what they are made from are never removed here: a published day stays, and a later day is built on
earlier histories, which the ledger says are there.
"""

from dataclasses import dataclass

from schemas import names


@dataclass(frozen=True, kw_only=True)
class Upkeep:
    """What the weekly upkeep does to one table.

    Attributes:
        compact: join small files. Not where a reader names an older version of the table: its files would go.
        staged_by: the jobs whose runs stage rows here; their runs past ``keep_runs_days`` are removed.
        keep_runs_days: a staging run is kept this long, and as long as its day waits to be published.
        keep_versions_days: older versions can be read this long, and their files are kept this long.
    """

    table: str
    reason: str
    compact: bool = True
    staged_by: tuple[str, ...] = ()
    keep_runs_days: int = 14
    keep_versions_days: int = 7


UPKEEP: tuple[Upkeep, ...] = (
    Upkeep(table=names.EVENTS, reason="the source of every history; expiring it is a decision of its own"),
    Upkeep(table=names.ITEMS, reason="append-only versions, read by every day"),
    Upkeep(table=names.IMPRESSIONS, reason="labels"),
    Upkeep(table=names.REQUESTS, reason="what was asked, read again when a day's request vectors are"),
    Upkeep(table=names.VISUAL_FEATURES, reason="an image is encoded once"),
    Upkeep(table=names.ITEM_EMBEDDINGS, reason="immutable vectors, a few new ones a day: small files gather"),
    Upkeep(table=names.USER_HISTORIES, reason="a later day builds on an earlier one"),
    Upkeep(
        table=names.INTEREST_EMBEDDINGS, compact=False, keep_versions_days=30,
        reason="--known-at reads versions as old as Delta's log, 30 days; a day is written whole, so its files are few",
    ),
    Upkeep(table=names.RANKING_FEATURES, reason="a consumer may train on any day"),
    Upkeep(table=names.REQUEST_EMBEDDINGS, reason="a consumer may train on any day"),
    Upkeep(table=names.QUARANTINE, reason="what was refused stays to be looked at"),
    Upkeep(table=names.RUN_LEDGER, reason="several small commits a job: without compaction a look-up opens thousands of files"),
    Upkeep(table=names.ENCODER_VERSIONS, reason="a few rows"),
    Upkeep(
        table=names.ITEM_EMBEDDINGS_STAGED, compact=False, staged_by=(names.ITEM_EMBEDDINGS_JOB,),
        reason="once gated, its rows are in item_embeddings",
    ),
    Upkeep(
        table=names.INTEREST_EMBEDDINGS_STAGED, compact=False, staged_by=(names.INTEREST_EMBEDDINGS_JOB,), keep_versions_days=14,
        reason="a verdict names a version: it can be published as long as that run is kept",
    ),
    Upkeep(
        table=names.RANKING_FEATURES_STAGED, compact=False, staged_by=(names.RANKING_FEATURES_JOB, names.LOOK_BACK_JOB),
        reason="look-backs (--known-at) are read from here for a while",
    ),
    Upkeep(
        table=names.REQUEST_EMBEDDINGS_STAGED, compact=False, staged_by=(names.REQUEST_EMBEDDINGS_JOB,),
        reason="once gated, its rows are in request_embeddings",
    ),
)  # fmt: skip

KEPT_DAYS: dict[str, int] = {policy.table: policy.keep_versions_days for policy in UPKEEP}
"""Days for which an older version of a table can be read."""
