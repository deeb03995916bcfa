"""A good staged day of 200 users, and the frames that a gate takes, as lists of rows that a test corrupts."""

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, SparkSession

from schemas import names
from schemas.contracts import CONTRACTS

DS = dt.date(2026, 3, 4)
BEFORE = dt.date(2026, 3, 3)
SPACE = "space-a"
DIMENSION = 32
USERS = 200
CHANGED = 80  # users 0 to 79 have new events and are encoded today; the others are carried
HISTORY_LENGTHS = (1, 3, 10, 30)  # one a bucket, in turn

Row = dict[str, Any]


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _instant(day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2026, 3, day, hour, tzinfo=dt.UTC)


def user(number: int) -> str:
    return f"u{number:03d}"


@dataclass(frozen=True)
class Day:
    """Rows of the three frames of ``check_interests``."""

    staged: list[Row]
    expected: list[Row]
    previous: list[Row] | None
    ddl: str = field(default=CONTRACTS[names.INTEREST_EMBEDDINGS_STAGED].ddl)

    def with_row(self, number: int, **values: Any) -> "Day":
        """The day with other values in one staged row."""
        return self.with_rows([number], **values)

    def with_rows(self, numbers: Any, **values: Any) -> "Day":
        chosen = set(numbers)
        return replace(self, staged=[{**row, **values} if i in chosen else row for i, row in enumerate(self.staged)])

    def frames(self, spark: SparkSession) -> dict[str, DataFrame | None]:
        return {
            "staged": frame(spark, self.staged, self.ddl),
            "expected_users": frame(spark, self.expected, "user_id string, history_len int"),
            "previous": None if self.previous is None else frame(spark, self.previous, CONTRACTS[names.INTEREST_EMBEDDINGS].ddl),
        }


def frame(spark: SparkSession, rows: list[Row], ddl: str) -> DataFrame:
    columns = [column.split()[0].strip("`") for column in ddl.split(", ")]
    return spark.createDataFrame([tuple(row[name] for name in columns) for row in rows], ddl).coalesce(1)


def good_day() -> Day:
    rng = np.random.default_rng(3)
    old = unit(rng.normal(size=(USERS, DIMENSION)))
    moved = unit(old + 0.5 * unit(rng.normal(size=(USERS, DIMENSION))))
    staged = [_staged(i, moved[i] if i < CHANGED else old[i]) for i in range(USERS)]
    expected = [{"user_id": user(i), "history_len": HISTORY_LENGTHS[i % 4]} for i in range(USERS)]
    return Day(staged=staged, expected=expected, previous=[_published(i, old[i]) for i in range(USERS)])


def _staged(number: int, vector: np.ndarray) -> Row:
    changed = number < CHANGED
    return {
        "user_id": user(number), "ds": DS, "space_id": SPACE, "run_id": "run-1", "encoded_ds": DS if changed else BEFORE,
        "fingerprint": f"{'new' if changed else 'old'}-{number}", "history_len": HISTORY_LENGTHS[number % 4],
        "last_event_time": _instant(3, 12), "as_of": _instant(5), "embedding": vector.tolist(),
    }  # fmt: skip


def _published(number: int, vector: np.ndarray) -> Row:
    return {
        **_staged(number, vector), "ds": BEFORE, "encoded_ds": BEFORE, "run_id": "run-0", "fingerprint": f"old-{number}",
        "as_of": _instant(4), "created_at": _instant(4, 2), "available_at": _instant(4, 2),
        "trained_until": _instant(1), "publication": "live",
    }  # fmt: skip
