"""The contract check of landed rows: columns by mapping, values by type, and a verdict for every row."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, BooleanType, DataType, DoubleType, LongType, StringType

from jobs.errors import JobError
from jobs.landing import Landed
from jobs.mapping import IMAGE, ColumnRule, Rules, closest, source_columns
from jobs.transforms.casting import Cast, cast
from schemas import names, reasons
from schemas.contracts import CONTRACTS

VERDICT = "verdict"
"""Null while nothing speaks against a row; otherwise the first reason found."""
PLACE = ("source_file", "row_number")

_MENDED = "mended"
_MADE_WHERE_ABSENT = ("event_id", "valid_from")
_IDENTIFIERS = ("event_id", "item_id", "user_id", "request_id")


@dataclass(frozen=True, kw_only=True)
class _Bound:
    """A contract column and the source column, or constant, that it is read from."""

    name: str
    column: Column
    type: DataType
    rule: ColumnRule
    cast: Cast


def check(landed: Landed, table: str, rules: Rules) -> DataFrame:
    """Landed rows, mended ones in their places, in the contract's types: the columns that a source may give, PLACE and VERDICT.

    The verdict judges a row by itself: malformed, not UTF-8, a value of the wrong type, an identifier or a required value
    missing. Raises JobError where a required or a mapped column is not in the source, or has a type that cannot be meant.
    """
    if table == names.EVENTS:
        _require_item_or_query(landed, rules)
    bound = [_bind(name, landed, table, rules) for name in source_columns(table)]
    rows, unparsed = landed.rows, F.col("problem")
    if landed.mended is not None:
        rows, unparsed = rows.join(landed.mended, list(PLACE), "left"), F.when(F.col(_MENDED).isNull(), unparsed)
    verdict = F.coalesce(
        unparsed,
        *[_when(_not_utf8(column), reasons.NOT_UTF8) for column in bound if _may_break(column)],
        *[_when(column.cast.bad, reasons.bad_type(column.name)) for column in bound],
        *[_when(~column.cast.present, _absence(column.name)) for column in bound if column.name in required_of_source(table)],
        *[_when(column.cast.value.rlike(r"\p{Cntrl}"), reasons.CONTROL_CHARACTERS) for column in bound if column.name in _IDENTIFIERS],
    )
    return rows.select(*[column.cast.value.alias(column.name) for column in bound], *PLACE, verdict.alias(VERDICT))


def required_of_source(table: str) -> tuple[str, ...]:
    """The columns that every row of a source must have."""
    contract = CONTRACTS[table]
    return tuple(name for name in source_columns(table) if name in contract.required and name not in _MADE_WHERE_ABSENT)


def first_verdict(*conditions: tuple[Column, str]) -> Column:
    """VERDICT where it is set, else the reason of the first condition that holds."""
    return F.coalesce(F.col(VERDICT), *[_when(condition, reason) for condition, reason in conditions])


def place_of_rejected() -> Column:
    """A window key that sets every rejected row apart, so that it neither counts as a repeat nor gathers in one group."""
    return F.when(F.col(VERDICT).isNotNull(), F.struct(*PLACE))


def _when(condition: Column, reason: str) -> Column:
    return F.when(condition, F.lit(reason))


def _absence(name: str) -> str:
    return reasons.NULL_KEY if name in _IDENTIFIERS else reasons.missing(name)


def _may_break(column: _Bound) -> bool:
    return isinstance(column.type, (StringType, BinaryType)) and column.name != IMAGE


def _not_utf8(column: _Bound) -> Column:
    return ~F.coalesce(F.is_valid_utf8(column.column.cast("string")), F.lit(True))


def _bind(name: str, landed: Landed, table: str, rules: Rules) -> _Bound:
    rule = rules.get(name, ColumnRule())
    column, type = _source(name, rule, landed, table, name in rules)
    target = "binary" if name == IMAGE else CONTRACTS[table].column(name).type
    read = cast(column, type, target, rule)
    if read is None:
        raise JobError(
            "WRONG_TYPE", "a source column has a type that cannot be meant", table=table, column=name, partition=landed.partition.label,
            expected=target, got=type.simpleString(), hint="name another column in the mapping",
        )  # fmt: skip
    if landed.mended is not None:
        column, read = _mended(column, read, rule, target, rule.column or name)
    return _Bound(name=name, column=column, type=type, rule=rule, cast=read)


def _mended(column: Column, landed: Cast, rule: ColumnRule, target: str, source_column: str) -> tuple[Column, Cast]:
    """What the row was mended to where it says something of this column; else as it landed, in its own type."""
    text, is_mended = F.try_element_at(_MENDED, F.lit(source_column)), F.array_contains(F.map_keys(_MENDED), source_column)
    read = cast(text, StringType(), target, rule)
    assert read is not None  # a text can be meant as any type
    value = F.when(is_mended, read.value).otherwise(landed.value)
    present = F.when(is_mended, read.present).otherwise(landed.present)
    return F.when(~F.coalesce(is_mended, F.lit(False)), column), Cast(value=value, present=present)


def _source(name: str, rule: ColumnRule, landed: Landed, table: str, mapped: bool) -> tuple[Column, DataType]:
    if rule.constant is not None:
        return F.lit(rule.constant), _type_of(rule.constant)
    if rule.time == "order" and rule.column is None:
        _refuse_several_files(landed, table, name)
        return F.col("row_number"), LongType()
    wanted = rule.column or name
    if wanted in landed.types:
        return F.col("source").getField(wanted), landed.types[wanted]
    if landed.types and (rule.column is not None or name in required_of_source(table)):
        raise _missing(name, wanted, landed, table)
    return F.lit(None).cast("string"), StringType()


def _refuse_several_files(landed: Landed, table: str, name: str) -> None:
    files = landed.partition.files
    if len(files) > 1:
        raise JobError(
            "ORDER_OF_FILES", "rows of several files have no common order", table=table, column=name, partition=landed.partition.label,
            expected="one file, or a column that numbers the rows", got=f"{len(files)} files", hint='name it: column = ".."',
        )  # fmt: skip


def _require_item_or_query(landed: Landed, rules: Rules) -> None:
    """An event names an item or a query, so a source without either column cannot be meant."""
    wanted = {name: rules.get(name, ColumnRule()) for name in ("item_id", "query")}
    given = (rule.constant is not None or (rule.column or name) in landed.types for name, rule in wanted.items())
    if landed.types and not any(given):
        raise _missing("item_id", "item_id", landed, names.EVENTS)


def _missing(name: str, wanted: str, landed: Landed, table: str) -> JobError:
    near = closest(wanted, [column for column in landed.types if column not in source_columns(table)])
    hint = f'did you mean {near!r}? Name it in the mapping: {name} = "{near}"' if near else f'name its source in the mapping: {name} = ".."'
    return JobError(
        "MISSING_COLUMN", "the source lacks a column", table=table, column=name, partition=landed.partition.label,
        expected=wanted, got=", ".join(landed.types), hint=hint,
    )  # fmt: skip


def _type_of(constant: str | int | float | bool) -> DataType:
    if isinstance(constant, bool):
        return BooleanType()
    if isinstance(constant, int):
        return LongType()
    return DoubleType() if isinstance(constant, float) else StringType()
