"""How a source spells the contract's columns: a TOML file, checked strictly."""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from jobs.errors import UsageError
from schemas import names
from schemas.contracts import CONTRACTS

TimeUnit = Literal["auto", "iso", "epoch_seconds", "epoch_milliseconds", "epoch_microseconds", "epoch_nanoseconds", "order"]

IMAGE = "image"
"""A source column of items that no table holds: the picture's bytes (binary, or base64 in a text format)."""
_MADE_BY_INGEST = ("ds", "content_hash", "image_sha256")


class ColumnRule(BaseModel):
    """Where the values of one contract column come from.

    Attributes:
        column: the source column; default: the one that is called like the contract's.
        constant: a value for every row, in place of a column.
        time: what a number means. ``auto`` tells seconds, milliseconds, microseconds and nanoseconds apart by magnitude,
            which is unambiguous from 1973 on (the ranges lie a factor of 24 apart). ``order`` is for a source that has an order and
            no times: number n stands for the instant n steps after ``casting.ORDER_BEGINS``; without a ``column`` the rows' numbers in
            their file count, from 0.
        step_seconds: the time between two numbers of ``order``.
        pattern: Spark's date-time pattern of a text that is not ISO 8601, such as ``M/d/yyyy H:mm``.
        zone: the zone of times that name none.
        values: source values to rename, such as ``{view = "click"}``; others stay.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = None
    constant: str | int | float | bool | None = None
    time: TimeUnit = "auto"
    step_seconds: int = Field(default=60, gt=0)
    pattern: str | None = None
    zone: str = "UTC"
    values: dict[str, str] = Field(default_factory=dict)

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no time zone; write it like Europe/Paris") from None
        return zone

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.column is not None and self.constant is not None:
            raise ValueError("name a column or a constant, not both")
        return self


def _rule(value: object) -> object:
    """A bare string names the source column."""
    return {"column": value} if isinstance(value, str) else value


Rules = dict[str, Annotated[ColumnRule, BeforeValidator(_rule)]]


class CsvFormat(BaseModel):
    """How CSV files are written: with a header line, quoted as in RFC 4180.

    Attributes:
        escape: what stands before a quote inside quotes; the quote itself by default.
        multiline: whether quoted fields may hold line breaks. One task then reads a whole file, and a quote that is never
            closed takes the following lines with it, so it is off: a line with a quote that is not part of a quoted field is refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', min_length=1, max_length=1)
    escape: str = Field(default='"', min_length=1, max_length=1)
    multiline: bool = False


class Mapping(BaseModel):
    """The mapping file: a section a table, contract column = source column or rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: Rules = Field(default_factory=dict)
    items: Rules = Field(default_factory=dict)
    impressions: Rules = Field(default_factory=dict)
    requests: Rules = Field(default_factory=dict)
    csv: CsvFormat = CsvFormat()

    @model_validator(mode="after")
    def _known_columns(self) -> Self:
        for table in (names.EVENTS, names.ITEMS, names.IMPRESSIONS, names.REQUESTS):
            for column in self.rules(table):
                if column not in source_columns(table):
                    raise ValueError(f"{table} takes no column {column!r}{_did_you_mean(column, source_columns(table))}")
        return self

    def rules(self, table: str) -> Rules:
        """The rules of ``table``, by contract column."""
        rules: Rules = getattr(self, table)
        return rules


def source_columns(table: str) -> tuple[str, ...]:
    """The columns that a source of ``table`` may give, in the contract's order."""
    given = tuple(name for name in CONTRACTS[table].names if name not in _MADE_BY_INGEST)
    return (*given, IMAGE) if table == names.ITEMS else given


def load_mapping(path: str | None) -> Mapping:
    """The mapping in the TOML file ``path``; without one every column is called as in its contract. Raises UsageError."""
    if path is None:
        return Mapping()
    try:
        return Mapping.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except ValidationError as error:
        hint = "conf/mapping/example.toml shows all that a mapping may say"
        raise UsageError(
            "BAD_MAPPING",
            "the column mapping does not fit",
            expected="tables, columns and rules",
            got=f"{path}: {_faults(error)}",
            hint=hint,
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError("BAD_MAPPING", f"cannot read the column mapping {path}: {error}", expected="a TOML file") from None


def _faults(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'mapping'}: {fault['msg']}" for fault in _details(error))


def _details(error: ValidationError) -> list[Any]:
    return list(error.errors(include_url=False))


def closest(name: str, among: tuple[str, ...] | list[str]) -> str | None:
    """The entry of ``among`` that ``name`` most likely means, case aside; None where none is near."""
    lowered = {candidate.lower(): candidate for candidate in among}
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def _did_you_mean(name: str, among: tuple[str, ...]) -> str:
    near = closest(name, among)
    return f"; did you mean {near!r}?" if near else f"; it takes {', '.join(among)}"
