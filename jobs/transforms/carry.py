"""Which vectors are carried from a neighbouring snapshot and which must be encoded (P5a)."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.errors import SpaceMixError


def neighbours(days: list[date], ds: date) -> list[date]:
    """Of the published ``days``: the nearest before ``ds``, ``ds`` itself, the nearest after; in this order."""
    before = max((day for day in days if day < ds), default=None)
    after = min((day for day in days if day > ds), default=None)
    return [day for day in (before, ds if ds in days else None, after) if day is not None]


def carried_vectors(published: DataFrame, sources: list[date], space_id: str) -> DataFrame:
    """(user_id, fingerprint, encoded_ds, embedding), one row a (user, fingerprint), of the snapshots ``sources``.

    Where several hold the same triple the first source wins. Raises SpaceMixError: a row is of another space (P2).
    """
    rows = published.where(F.col("ds").isin(sources))
    others = [row["space_id"] for row in rows.select("space_id").distinct().collect() if row["space_id"] != space_id]
    if others:
        raise SpaceMixError("SPACE_MIX", "a carry would mix two spaces", expected=space_id, got=", ".join(others))
    rank = F.array_position(F.array(*[F.lit(day) for day in sources]), F.col("ds")) if sources else F.lit(0)
    first = F.min(F.struct(rank.alias("rank"), "encoded_ds", "embedding"))
    return rows.groupBy("user_id", "fingerprint").agg(first.alias("_c")).select("user_id", "fingerprint", "_c.encoded_ds", "_c.embedding")
