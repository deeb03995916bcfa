"""From what a source wrote to a contract's type; a value that does not read as that type becomes null, never an error.

Blank texts and NaN are missing values, in every format alike.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.mapping import ColumnRule

_EARLIEST, _LATEST = "1900-01-01", "2200-01-01"
ORDER_BEGINS = 946_684_800
"""2000-01-01 UTC in epoch seconds: when the first event of a source that has an order and no times is set."""
_LARGEST_WHOLE_DOUBLE = float(2**53)
_LARGEST_EPOCH = 1e19
_NUMBER = r"^\s*[+-]?\d+(\.\d+)?([eE][+-]?\d+)?\s*$"
_ISO = r"^\d{4}-\d{2}-\d{2}"
_ISO_WITHOUT_ZONE = r"^\d{4}-\d{2}-\d{2}([ T][\d:.]*)?$"

# Microseconds in one unit.
_MICROSECONDS = {"epoch_seconds": "1000000", "epoch_milliseconds": "1000", "epoch_microseconds": "1", "epoch_nanoseconds": "0.001"}
# From which number on ``auto`` takes which unit: 1e8 is 1973 in seconds, and 1e11 seconds would be the year 5138.
_FROM = (("1e17", "epoch_nanoseconds"), ("1e14", "epoch_microseconds"), ("1e11", "epoch_milliseconds"), ("1e8", "epoch_seconds"))


@dataclass(frozen=True, kw_only=True)
class Cast:
    """A value in the contract's type, and whether the source had one at all."""

    value: Column
    present: Column

    @property
    def bad(self) -> Column:
        """Whether the source's value does not read as the contract's type."""
        return self.present & self.value.isNull()


def cast(column: Column, type: T.DataType, target: str, rule: ColumnRule) -> Cast | None:
    """``column`` of Spark type ``type`` as the contract's type ``target``; None where no value of that type could be one."""
    nested = isinstance(type, (T.ArrayType, T.MapType, T.StructType))
    if nested or (target != "timestamp" and isinstance(type, (T.DateType, T.TimestampType, T.TimestampNTZType))):
        return None
    readers: dict[str, Callable[[Column, T.DataType, ColumnRule], Column | None]] = {
        "string": _text, "double": _double, "int": _int, "boolean": _boolean, "timestamp": _instant, "binary": _bytes
    }  # fmt: skip
    value = readers[target](column, type, rule)
    return None if value is None else Cast(value=value, present=_present(column, type))


def _present(column: Column, type: T.DataType) -> Column:
    if isinstance(type, T.StringType):
        return column.isNotNull() & (F.trim(column) != "")
    if isinstance(type, (T.FloatType, T.DoubleType)):
        return column.isNotNull() & ~F.isnan(column)
    return column.isNotNull()


def _text(column: Column, type: T.DataType, rule: ColumnRule) -> Column:
    """As written; whole floating numbers without their ``.0``, since a column of integers with gaps arrives as floats."""
    text = column.cast("string")
    if isinstance(type, (T.FloatType, T.DoubleType)):
        whole = (column == F.floor(column)) & (F.abs(column) < F.lit(_LARGEST_WHOLE_DOUBLE))
        text = F.when(whole, column.try_cast("bigint").cast("string")).when(~F.isnan(column), text)
    text = F.when(F.trim(text) != "", text)
    if not rule.values:
        return text
    renamed = F.create_map(*[F.lit(part) for pair in rule.values.items() for part in pair])
    return F.coalesce(F.try_element_at(renamed, text), text)


def _double(column: Column, type: T.DataType, rule: ColumnRule) -> Column | None:
    if isinstance(type, (T.BinaryType, T.BooleanType)):
        return None
    number = F.trim(column).try_cast("double") if isinstance(type, T.StringType) else column.try_cast("double")
    return F.when(~F.isnan(number) & (F.abs(number) != F.lit(float("inf"))), number)


def _int(column: Column, type: T.DataType, rule: ColumnRule) -> Column | None:
    number = _double(column, type, rule)
    return None if number is None else F.when(number == F.floor(number), number.try_cast("int"))


def _boolean(column: Column, type: T.DataType, rule: ColumnRule) -> Column | None:
    if isinstance(type, T.BooleanType):
        return column
    if isinstance(type, T.NumericType):
        return F.when(column == 1, F.lit(True)).when(column == 0, F.lit(False))
    if isinstance(type, T.StringType):
        text = F.lower(F.trim(column))
        return F.when(text.isin("true", "t", "yes", "y", "1", "1.0"), F.lit(True)).when(
            text.isin("false", "f", "no", "n", "0", "0.0"), F.lit(False)
        )
    return None


def _bytes(column: Column, type: T.DataType, rule: ColumnRule) -> Column | None:
    if isinstance(type, T.BinaryType):
        return column
    return F.try_to_binary(column, F.lit("base64")) if isinstance(type, T.StringType) else None


def _instant(column: Column, type: T.DataType, rule: ColumnRule) -> Column | None:
    if isinstance(type, T.TimestampType):
        instant = column
    elif isinstance(type, (T.TimestampNTZType, T.DateType)):
        instant = F.to_utc_timestamp(column.cast("timestamp"), rule.zone)
    elif isinstance(type, T.NumericType):
        instant = _from_number(column, rule)
    elif isinstance(type, T.StringType):
        instant = _from_text(F.trim(column), rule)
    else:
        return None
    within = (instant >= F.lit(_EARLIEST).cast("timestamp")) & (instant < F.lit(_LATEST).cast("timestamp"))
    return F.when(within, instant)


def _from_text(text: Column, rule: ColumnRule) -> Column:
    if rule.pattern is not None:
        return F.to_utc_timestamp(F.try_to_timestamp(text, F.lit(rule.pattern)), rule.zone)
    local = F.to_utc_timestamp(text.try_cast("timestamp"), rule.zone)
    iso = F.when(text.rlike(_ISO_WITHOUT_ZONE), local).when(text.rlike(_ISO), text.try_cast("timestamp"))
    return iso if rule.time == "iso" else F.when(text.rlike(_NUMBER), _from_number(text, rule)).otherwise(iso)


def _from_number(number: Column, rule: ColumnRule) -> Column:
    """Exact to the microsecond: decimals, no doubles. A number beyond every date of ours is null before it can overflow."""
    exact = number.try_cast("decimal(38,9)")
    exact = F.when(F.abs(exact) < F.lit(_LARGEST_EPOCH), exact)
    if rule.time == "iso":
        return F.lit(None).cast("timestamp")
    if rule.time == "order":
        return _after_epoch(exact * F.lit(rule.step_seconds) + F.lit(ORDER_BEGINS), "epoch_seconds")
    if rule.time != "auto":
        return _after_epoch(exact, rule.time)
    by_magnitude = F.lit(None).cast("timestamp")
    for least, unit in reversed(_FROM):
        by_magnitude = F.when(exact >= F.lit(least).cast("decimal(38,0)"), _after_epoch(exact, unit)).otherwise(by_magnitude)
    return by_magnitude


def _after_epoch(number: Column, unit: str) -> Column:
    factor = F.lit(_MICROSECONDS[unit]).cast("decimal(10,3)")
    return F.timestamp_micros(F.floor((number * factor).cast("decimal(38,3)")).try_cast("bigint"))
