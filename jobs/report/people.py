"""Some users in words: what they took, and the items whose vectors are nearest to their interest."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from jobs.report import sampled
from jobs.report.facts import Line, Person
from jobs.showing.words import event_in_words

PEOPLE = 8
EVENTS = 8
NEAREST = 5
UNTAKEN = 4

Titles = dict[str, tuple[str, bool]]


def people_of(users: pd.DataFrame, histories: DataFrame, items: DataFrame, count: int = PEOPLE) -> tuple[Person, ...]:
    """``count`` of the sampled ``users``, spread evenly over the lengths of their histories, shortest first.

    Args:
        users: user_id, history_len, embedding, in a fixed order.
        histories: contract USER_HISTORIES, one day.
        items: item_id, title, image_sha256, embedding (null: none).
    """
    chosen = spread_over_lengths(users, count)
    if not len(chosen):
        return ()
    rows = {row["user_id"]: row for row in histories.where(F.col("user_id").isin(list(chosen.user_id))).collect()}
    taken = [frozenset(rows[user]["item_ids"]) - {None} for user in chosen.user_id]
    near = nearest_items(items, np.stack(chosen.embedding.to_numpy()).astype(np.float32), taken)
    newest = [[item for item in row["item_ids"][-EVENTS:] if item is not None] for row in rows.values()]
    titles = sampled.titles(items, newest)
    return tuple(
        Person(
            user_id=user.user_id,
            history_len=int(user.history_len),
            history=_events(rows[user.user_id], titles),
            nearest=_near(near[near.user == place].head(NEAREST)),
            untaken=_near(near[(near.user == place) & ~near.taken].head(UNTAKEN)),
        )
        for place, user in enumerate(chosen.itertuples())
    )


def spread_over_lengths(users: pd.DataFrame, count: int) -> pd.DataFrame:
    """Up to ``count`` rows at even steps of the order by history_len, the shortest and the longest among them."""
    ordered = users.sort_values("history_len", kind="stable")
    places = np.unique(np.linspace(0, len(users) - 1, min(count, len(users))).round().astype(int))
    return ordered.iloc[places] if len(users) else ordered


def nearest_items(items: DataFrame, interests: npt.NDArray[np.float32], taken: Sequence[frozenset[str]]) -> pd.DataFrame:
    """The items with the greatest cosine to each of float32 [n, dim] ``interests``: NEAREST of all, and UNTAKEN of those not in ``taken``.

    Where the items lie, each batch keeps its own nearest; only those come to the driver. Equal cosines: by item_id.

    Returns: user (row of ``interests``), item_id, title, image, taken, cosine; by user, nearest first; of each kind at least as many.
    """

    def keep(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            if len(batch):
                by_id = batch.sort_values("item_id")
                cosines = np.stack(by_id.embedding.to_numpy()) @ interests.T
                for user, order in enumerate(np.argsort(-cosines, axis=0, kind="stable").T):
                    seen = by_id.item_id.isin(taken[user]).to_numpy()
                    places = sorted({*order[:NEAREST].tolist(), *order[~seen[order]][:UNTAKEN].tolist()})
                    near = by_id.iloc[places].drop(columns="embedding")
                    yield near.assign(user=user, taken=seen[places], cosine=cosines[places, user].astype(float))

    asked = items.where(F.col("embedding").isNotNull())
    asked = asked.select("item_id", "title", F.col("image_sha256").isNotNull().alias("image"), "embedding")
    kept = asked.mapInPandas(keep, "item_id string, title string, image boolean, user int, taken boolean, cosine double").toPandas()
    ordered: pd.DataFrame = kept.sort_values(["user", "cosine", "item_id"], ascending=[True, False, True])
    return ordered.reset_index(drop=True)


def _events(row: Row, titles: Titles) -> tuple[Line, ...]:
    events = list(zip(row["event_types"], row["item_ids"], row["queries"], strict=True))
    return tuple(_event(kind, item, query, titles) for kind, item, query in reversed(events[-EVENTS:]))


def _event(kind: str, item: str | None, query: str | None, titles: Titles) -> Line:
    title, image = titles.get(item, (sampled.UNKNOWN_ITEM, False)) if item else (None, False)
    return Line(text=event_in_words(kind, title, query), image=image)


def _near(rows: pd.DataFrame) -> tuple[Line, ...]:
    return tuple(
        Line(text=row.title or sampled.NO_TITLE, image=bool(row.image), cosine=float(row.cosine), taken=bool(row.taken))
        for row in rows.itertuples()
    )
