"""The held-out targets that arms are judged on: a Parquet file, checked before anything is trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.errors import UsageError
from jobs.held_out_figures import HeldOutTargets, rankable_targets
from karma.training.data import TARGETS
from karma.training.study import AskedTargets

COLUMNS = ("user_id", "item_id")
QUERY = "query"


@dataclass(frozen=True, kw_only=True)
class Targets:
    """By user the item that is to be foretold, and the query that was typed for it where one is known."""

    file: Path
    items: Mapping[str, str]
    queries: Mapping[str, str]


def read_targets(file: Path) -> Targets:
    """The targets in ``file``; columns beside user_id, item_id and query are left out.

    Raises UsageError: there is no such file, it is no Parquet, a column is missing or holds no strings, a user or an item is null, or a
    user has two targets.
    """
    if not file.is_file():
        expected = "a Parquet file with user_id and item_id"
        raise UsageError("NO_TARGETS", "there are no targets", column="--targets", expected=expected, got=f"nothing at {file}")
    table = _table(file)
    rows = table.select([name for name in (*COLUMNS, QUERY) if name in table.column_names]).to_pylist()
    if unusable := sum(row["user_id"] is None or row["item_id"] is None for row in rows):
        raise UsageError("TARGETS_ROWS", "targets lack a user or an item", table=TARGETS, expected="none", got=unusable)
    items = {row["user_id"]: row["item_id"] for row in rows}
    if len(items) < len(rows):
        got = f"{len(rows)} rows of {len(items)} users"
        raise UsageError("TARGETS_NOT_UNIQUE", "a user has more than one target", table=TARGETS, expected="one row a user", got=got)
    return Targets(file=file, items=items, queries={row["user_id"]: row[QUERY] for row in rows if row.get(QUERY) is not None})


def _table(file: Path) -> pa.Table:
    try:
        table = pq.read_table(file)
    except (pa.ArrowInvalid, OSError) as error:
        said = str(error).partition("\n")[0]
        raise UsageError("NO_TARGETS", "the targets cannot be read", column="--targets", expected="a Parquet file", got=said) from None
    types = {name: table.schema.field(name).type for name in (*COLUMNS, QUERY) if name in table.column_names}
    wrong = [name for name in COLUMNS if name not in types] + [name for name, type in types.items() if not _holds_strings(type)]
    if wrong:
        raise UsageError(
            "TARGETS_COLUMNS", "the targets lack a column, or it is of another type", table=TARGETS, column=", ".join(wrong),
            expected="user_id and item_id, and a query if there is one, all strings",
            got=", ".join(f"{field.name} {field.type}" for field in table.schema),
        )  # fmt: skip
    return table


def _holds_strings(type: pa.DataType) -> bool:
    return bool(pa.types.is_string(type) or pa.types.is_large_string(type))


def ranked(data: Path, targets: Targets, *, mask_seen: bool) -> HeldOutTargets:
    """What is ranked of ``targets``. Raises UsageError where that is none."""
    found = rankable_targets(data, targets.items, targets.queries).ranked(mask_seen)
    if not found.users:
        raise UsageError(
            "NO_TARGETS", "no target can be ranked", column="--targets",
            expected="users with a history, and items of the catalogue, new to their user without softmax.repeats",
            got=f"{len(targets.items)} targets, none of which is such", hint="are they of these data?",
        )  # fmt: skip
    return found


def arms_judged_on(held_out: HeldOutTargets) -> AskedTargets:
    """``held_out`` as every arm is judged on it."""
    taken = {item for history in held_out.of_all.values() for item in history.item_ids}
    cold = np.array([item not in taken for item in held_out.items], bool)
    return AskedTargets(
        catalogue=held_out.catalogue, histories=held_out.histories, targets=held_out.items, cold=cold, with_query=held_out.with_query
    )
