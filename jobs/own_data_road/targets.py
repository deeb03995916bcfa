"""The held-out targets that a user names."""

from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.errors import UsageError
from jobs.landing import find_partition, read_partition
from jobs.mapping import ColumnRule, CsvFormat, Mapping
from jobs.stage import Context
from jobs.transforms.casting import cast
from schemas import names

TARGETS = "targets"
_TYPES = {"user_id": "string", "item_id": "string", "cut_time": "timestamp"}


def read_targets(context: Context, source: Path, mapping: Mapping) -> DataFrame:
    """user_id, item_id, cut_time of a Parquet, CSV or JSON lines file; other columns are left out.

    Times are read as those of the events are (``mapping``): a cut in another unit would let the future into the histories.

    Raises UsageError: a column is missing or of a type that holds no such values, or a row has a null or no readable time in one.
    """
    landed = read_partition(context.spark, find_partition(context.spark, context.places, TARGETS, None, str(source)), CsvFormat())
    rows = landed.rows.select("source.*")
    of_time = mapping.rules(names.EVENTS).get("event_time", ColumnRule()).model_copy(update={"column": None, "constant": None})
    rules = {name: of_time if type == "timestamp" else ColumnRule() for name, type in _TYPES.items()}
    read = {name: cast(F.col(name), rows.schema[name].dataType, type, rules[name]) for name, type in _TYPES.items() if name in rows.columns}
    values = {name: found.value for name, found in read.items() if found is not None}
    if len(values) < len(_TYPES):
        raise UsageError(
            "TARGETS_COLUMNS", "the targets lack a column, or it is of another type", table=TARGETS,
            column=", ".join(name for name in _TYPES if name not in values), expected=", ".join(_TYPES), got=", ".join(landed.types),
        )  # fmt: skip
    targets = rows.select(*[value.alias(name) for name, value in values.items()])
    unusable = targets.where(" OR ".join(f"{name} IS NULL" for name in _TYPES)).count()
    if unusable:
        raise UsageError("TARGETS_ROWS", "targets lack a user, an item or a readable time", table=TARGETS, expected="none", got=unusable)
    return targets
