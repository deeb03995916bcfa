"""The held-out targets that a user names."""

from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.errors import UsageError
from jobs.landing import find_partition, read_partition
from jobs.mapping import CsvFormat
from jobs.stage import Context

TARGETS = "targets"
_TYPES = {"user_id": "string", "item_id": "string", "cut_time": "timestamp"}


def read_targets(context: Context, source: Path) -> DataFrame:
    """user_id, item_id, cut_time of a Parquet, CSV or JSON lines file; other columns are left out.

    Raises UsageError: a column is missing, or a row has a null or no readable time in one.
    """
    landed = read_partition(context.spark, find_partition(context.spark, context.places, TARGETS, None, str(source)), CsvFormat())
    missing = [name for name in _TYPES if name not in landed.types]
    if missing:
        raise UsageError(
            "TARGETS_COLUMNS", "the targets lack a column", table=TARGETS, column=", ".join(missing), expected=", ".join(_TYPES),
            got=", ".join(landed.types),
        )  # fmt: skip
    targets = landed.rows.select("source.*").select(*[F.col(name).try_cast(type).alias(name) for name, type in _TYPES.items()])
    unusable = targets.where(" OR ".join(f"{name} IS NULL" for name in _TYPES)).count()
    if unusable:
        raise UsageError("TARGETS_ROWS", "targets lack a user, an item or a readable time", table=TARGETS, expected="none", got=unusable)
    return targets
