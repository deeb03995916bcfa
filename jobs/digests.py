"""Digests: of values, and of frames whatever the order of their rows."""

import hashlib
import json
from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def digest_of(*parts: object) -> str:
    """32 hex digits that change with any of ``parts`` (JSON; dates and times by their ISO form)."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def frame_digest(frame: DataFrame, columns: Sequence[str]) -> tuple[int, str]:
    """Row count and digest of ``columns``: equal for equal multisets of rows, in any order and partitioning."""
    row_hash = F.xxhash64(*columns)
    sums = frame.agg(
        F.count(F.lit(1)).alias("n"),
        F.sum(row_hash.cast("decimal(38,0)")).alias("sum"),
        F.bit_xor(row_hash).alias("xor"),
    ).first()
    assert sums is not None  # a global aggregate has one row
    return int(sums["n"]), digest_of(int(sums["n"]), str(sums["sum"]), str(sums["xor"]))
