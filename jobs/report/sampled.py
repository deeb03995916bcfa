"""Samples of users and items in the order of a hash of their ids: the same tables give the same samples, whatever their size."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

USERS = 2_000
ITEMS = 2_000
NEWEST = 4
"""Titles of a history beside a dot of the map."""
NO_TITLE = "(no title)"
UNKNOWN_ITEM = "unknown item"


def users(interests: DataFrame, histories: DataFrame, count: int = USERS) -> pd.DataFrame:
    """Up to ``count`` users: user_id, history_len, embedding, and ``newest``, the items of their newest item events, newest first."""
    chosen = _first(interests.select("user_id", "history_len", "embedding"), "user_id", count)
    taken = F.reverse(F.filter("item_ids", lambda item: item.isNotNull()))
    newest = histories.select("user_id", F.slice(taken, 1, NEWEST).alias("newest"))
    return _collected(newest.join(F.broadcast(chosen), "user_id"), "user_id")


def items(items: DataFrame, count: int = ITEMS) -> pd.DataFrame:
    """Up to ``count`` items that have a vector: item_id, title, embedding."""
    with_vector = items.where(F.col("embedding").isNotNull()).select("item_id", "title", "embedding")
    return _collected(_first(with_vector, "item_id", count), "item_id")


def titles(items: DataFrame, wanted: Iterable[Sequence[str]]) -> dict[str, tuple[str, bool]]:
    """Title and whether there is an image, by item_id, of the items in the lists ``wanted``; unknown ones are missing."""
    ids = sorted({item for row in wanted for item in row})
    if not ids:
        return {}
    asked = items.sparkSession.createDataFrame([(item,) for item in ids], "item_id string")
    has_image = F.col("image_sha256").isNotNull().alias("image")
    rows = items.join(F.broadcast(asked), "item_id").select("item_id", "title", has_image).collect()
    return {row["item_id"]: (row["title"] or NO_TITLE, row["image"]) for row in rows}


def in_titles(row: Sequence[str], titles: Mapping[str, tuple[str, bool]]) -> tuple[str, ...]:
    """The items of ``row`` by title."""
    return tuple(titles[item][0] if item in titles else UNKNOWN_ITEM for item in row)


def shown(titles: Iterable[str | None]) -> list[str]:
    """Titles; a word where there is none."""
    return [title or NO_TITLE for title in titles]


def stacked(embeddings: pd.Series, dim: int) -> npt.NDArray[np.float32]:
    """A column of vectors as float32 [n, dim]."""
    return np.stack(embeddings.to_numpy()).astype(np.float32) if len(embeddings) else np.zeros((0, dim), np.float32)


def _first(rows: DataFrame, by: str, count: int) -> DataFrame:
    return rows.orderBy(_order(by), by).limit(count)


def _order(by: str) -> Column:
    return F.xxhash64(by)


def _collected(rows: DataFrame, by: str) -> pd.DataFrame:
    """At most a sample's rows, in the order of the hash."""
    collected: Any = rows.withColumn("_order", _order(by)).toPandas()
    return collected.sort_values(["_order", by]).reset_index(drop=True)
