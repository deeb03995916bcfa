"""What a contract is: the columns, key and partitioning of one table, in Spark's DDL types."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Attributes:
        name: the column's name.
        type: a Spark DDL type, such as ``string``, ``timestamp`` (microseconds, UTC) or ``array<float>``.
        required: whether a null is refused.
        meaning: one line: what a value is, with its unit.
    """

    name: str
    type: str
    required: bool
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Contract:
    """One table: its columns in the order in which they are written, its key and its partition columns."""

    table: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.required)

    @property
    def ddl(self) -> str:
        """The schema as Spark DDL, every column nullable (Delta checks nothing more; the contract check does)."""
        return ", ".join(f"`{column.name}` {column.type}" for column in self.columns)

    def column(self, name: str) -> Column:
        """The column called ``name``. Raises KeyError where the contract has none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.table} has no column {name!r}; it has {', '.join(self.names)}")


def required(name: str, type: str, meaning: str) -> Column:
    return Column(name=name, type=type, required=True, meaning=meaning)


def optional(name: str, type: str, meaning: str) -> Column:
    return Column(name=name, type=type, required=False, meaning=meaning)
