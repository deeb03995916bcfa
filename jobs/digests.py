"""Digests: of values, and of frames whatever the order of their rows."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F


def digest_of(*parts: object) -> str:
    """32 hex digits that change with any of ``parts`` (JSON; dates and times by their ISO form)."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def digest_aggregates(columns: Sequence[str]) -> list[Column]:
    """Aggregates ``n``, ``sum`` and ``xor`` of ``columns``, for a groupBy; ``digest_of_aggregates`` reads them."""
    row_hash = F.xxhash64(*columns)
    return [
        F.count(F.lit(1)).alias("n"),
        F.sum(row_hash.cast("decimal(38,0)")).alias("sum"),
        F.bit_xor(row_hash).alias("xor"),
    ]


def digest_of_aggregates(sums: Row | Mapping[str, Any] | None) -> str:
    """The digest of a group's rows; None for a group that has none."""
    if sums is None or not sums["n"]:
        return digest_of(0, "None", "None")
    return digest_of(int(sums["n"]), str(sums["sum"]), str(sums["xor"]))


def frame_digest(frame: DataFrame, columns: Sequence[str]) -> tuple[int, str]:
    """Row count and digest of ``columns``: equal for equal multisets of rows, in any order and partitioning."""
    sums = frame.agg(*digest_aggregates(columns)).first()
    assert sums is not None  # a global aggregate has one row
    return int(sums["n"]), digest_of_aggregates(sums)


def digest_groups(frame: DataFrame, columns: Sequence[str], by: str) -> dict[Any, Row]:
    """``digest_aggregates`` of ``columns`` for each value of ``by``."""
    return {row[by]: row for row in frame.groupBy(by).agg(*digest_aggregates(columns)).collect()}


def digest_of_groups(groups: Iterable[Row]) -> tuple[int, str]:
    """What ``frame_digest`` gives for all rows of the groups together."""
    total: dict[str, Any] = {"n": 0, "sum": 0, "xor": 0}
    for group in groups:
        total = {"n": total["n"] + group["n"], "sum": total["sum"] + group["sum"], "xor": total["xor"] ^ group["xor"]}
    return int(total["n"]), digest_of_aggregates(total)
