"""One contract a table, by table name: ``CONTRACTS["events"]``."""

from schemas.contract import Contract
from schemas.contracts.events import EVENTS
from schemas.contracts.features import (
    INTEREST_EMBEDDINGS,
    INTEREST_EMBEDDINGS_STAGED,
    ITEM_EMBEDDINGS,
    ITEM_EMBEDDINGS_STAGED,
    USER_HISTORIES,
    VISUAL_FEATURES,
)
from schemas.contracts.impressions import IMPRESSIONS
from schemas.contracts.items import ITEMS
from schemas.contracts.operations import ENCODER_VERSIONS, QUARANTINE, RUN_LEDGER
from schemas.contracts.ranking_features import RANKING_FEATURES, RANKING_FEATURES_STAGED
from schemas.contracts.requests import REQUEST_EMBEDDINGS, REQUEST_EMBEDDINGS_STAGED, REQUESTS

CONTRACTS: dict[str, Contract] = {
    contract.table: contract
    for contract in (
        EVENTS,
        ITEMS,
        IMPRESSIONS,
        REQUESTS,
        VISUAL_FEATURES,
        ITEM_EMBEDDINGS_STAGED,
        ITEM_EMBEDDINGS,
        USER_HISTORIES,
        INTEREST_EMBEDDINGS_STAGED,
        INTEREST_EMBEDDINGS,
        RANKING_FEATURES_STAGED,
        RANKING_FEATURES,
        REQUEST_EMBEDDINGS_STAGED,
        REQUEST_EMBEDDINGS,
        QUARANTINE,
        RUN_LEDGER,
        ENCODER_VERSIONS,
    )
}
