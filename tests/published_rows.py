"""Where the published tables of two warehouses differ, clocks and run ids aside. Read without Spark."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from schemas import names

# What may differ between two ways to the same rows: clocks, run ids, publication; and where a vector was computed (P5b).
ASIDE = {"run_id", "created_at", "available_at", "publication", "encoded_ds", "embedding", "interest_embedding"}
VECTORS = ("embedding", "interest_embedding")
KEYS = {
    names.ITEM_EMBEDDINGS: ["content_hash", "space_id"],
    names.INTEREST_EMBEDDINGS: ["user_id", "ds", "space_id"],
    names.RANKING_FEATURES: ["request_id", "item_id", "space_id"],
}


def table(warehouse: Path, name: str) -> pl.DataFrame:
    return pl.read_delta(str(warehouse / name))


def differences(warehouse: Path, other: Path) -> list[str]:
    """In words; vectors may differ by a cosine of 0.99999 (P3)."""
    found: list[str] = []
    for name, keys in KEYS.items():
        found += _differing(table(warehouse, name).sort(keys), table(other, name).sort(keys), name)
    return found


def _differing(one: pl.DataFrame, two: pl.DataFrame, name: str) -> Iterator[str]:
    if one.is_empty() or one.height != two.height:
        yield f"{name}: {one.height} and {two.height} rows"
        return
    for column in one.columns:
        if column in VECTORS:
            worst = _worst_cosine(one[column], two[column])
            if worst < 0.99999:
                yield f"{name}.{column}: cosine {worst}"
        elif column == "candidate_cosine":
            apart = (one[column] - two[column]).abs().max()
            if (apart is not None and apart > 1e-4) or not one[column].is_null().equals(two[column].is_null()):
                yield f"{name}.{column}: {apart} apart"
        elif column not in ASIDE and not one[column].equals(two[column]):
            yield f"{name}.{column}: {(one[column].ne_missing(two[column])).sum()} of {one.height} values"


def _worst_cosine(one: pl.Series, two: pl.Series) -> float:
    if not one.is_null().equals(two.is_null()):
        return -1.0
    if one.drop_nulls().is_empty():
        return 1.0
    vectors = [np.stack([np.asarray(vector, dtype=np.float64) for vector in series.drop_nulls().to_list()]) for series in (one, two)]
    unit = [matrix / np.linalg.norm(matrix, axis=1, keepdims=True) for matrix in vectors]
    return float((unit[0] * unit[1]).sum(axis=1).min())
