"""One text for several nullable values, such that different values give different texts."""

from collections.abc import Iterable

from pyspark.sql import Column
from pyspark.sql import functions as F

SEPARATOR = "\x1f"


def marked(value: Column) -> Column:
    """``"0"`` where null, ``"1"`` and the value otherwise."""
    return F.when(value.isNull(), F.lit("0")).otherwise(F.concat(F.lit("1"), value))


def joined(values: Iterable[Column]) -> Column:
    """Non-null texts, joined by U+001F."""
    return F.concat_ws(SEPARATOR, *values)
