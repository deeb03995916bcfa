"""One user in words: what was taken, what the vector is near, one full row of the published table."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from pyspark.sql import functions as F

from jobs.encoders import Encoder
from jobs.stage import Context
from jobs.transforms.item_versions import current_versions
from schemas import names

NEAREST = 5
SHOWN_EVENTS = 8


@dataclass(frozen=True, kw_only=True)
class UserInWords:
    """A user's newest events and nearest items, as text lines."""

    user_id: str
    history: list[str]
    nearest: list[str]


def one_row(context: Context, encoder: Encoder, ds: date) -> dict[str, Any]:
    """The published row of a typical user (median history length, then the smallest id) of ``ds``."""
    rows = context.tables.read_where(names.INTEREST_EMBEDDINGS, {"ds": ds, "space_id": encoder.space_id})
    median = rows.agg(F.percentile_approx("history_len", 0.5).alias("m")).collect()[0]["m"]
    return rows.where(F.col("history_len") >= median).orderBy("history_len", "user_id").limit(1).collect()[0].asDict()


def in_words(context: Context, encoder: Encoder, row: dict[str, Any]) -> UserInWords:
    """The user of a published ``row``: newest events first, then the items whose vectors are nearest."""
    history = context.tables.read_where(names.USER_HISTORIES, {"ds": row["ds"]}).where(F.col("user_id") == row["user_id"]).collect()[0]
    vectors = context.tables.read_where(names.ITEM_EMBEDDINGS, {"space_id": encoder.space_id})
    versions = current_versions(context.tables.read(names.ITEMS), row["ds"])
    items = versions.join(vectors, "content_hash").select("item_id", "title", "embedding").toPandas()
    titles = dict(zip(items.item_id, items.title, strict=True))
    events = zip(history["event_types"], history["item_ids"], history["queries"], strict=True)
    lines = [event_in_words(kind, titles.get(item, "unknown item") if item else None, query) for kind, item, query in events]
    cosines = np.stack(items.embedding.to_numpy()) @ np.array(row["embedding"])
    nearest = [f"{cosines[place]:.2f}  {items.title[place] or '(no title)'}" for place in np.argsort(-cosines)[:NEAREST]]
    return UserInWords(user_id=row["user_id"], history=lines[::-1][:SHOWN_EVENTS], nearest=nearest)


def event_in_words(kind: str, title: str | None, query: str | None) -> str:
    """One event: what was typed, what was taken."""
    typed = f'typed "{query}"' if query else ""
    took = f"{kind}: {title or '(no title)'}" if title or not query else ""
    return ", ".join(part for part in (typed, took) if part)
