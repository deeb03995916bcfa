"""From staged rows to the flat frame that the gate judges: one row a staged row or missing key, scalars alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from jobs.errors import SpaceMixError
from jobs.gate.rules import EXAMPLES, FrameFacts
from schemas.contract import Contract
from udfs.vector_statistics import statistics_udf


def schema_mismatches(frame: DataFrame, contract: Contract) -> tuple[str, ...]:
    """What keeps ``frame`` from having exactly the contract's columns and types, in words; order is free."""
    wanted, got = _types(cast(StructType, StructType.fromDDL(contract.ddl))), _types(frame.schema)
    missing = [f"{name} is missing" for name in wanted if name not in got]
    foreign = [f"{name} is not in the contract" for name in got if name not in wanted]
    other = [f"{name} is {got[name]}, not {type_}" for name, type_ in wanted.items() if got.get(name, type_) != type_]
    return (*missing, *foreign, *other)


def _types(schema: StructType) -> dict[str, str]:
    return {field.name: field.dataType.simpleString() for field in schema.fields}


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Which days and runs a staged frame holds.

    Attributes:
        rows: staged rows.
        strays: (day, run) pairs other than the first of the expected day.
        described: the strays, in words.
    """

    rows: int
    strays: int
    described: tuple[str, ...]


def provenance(staged: DataFrame, table: str, space_id: str, ds: date, previous: DataFrame | None = None) -> Provenance:
    """Days and runs of ``staged``. Raises SpaceMixError where it or ``previous`` holds a row of another space."""
    day = F.col("ds") if "ds" in staged.columns else F.lit(ds)
    origins = staged.select(F.lit("staged").alias("side"), "space_id", day.alias("ds"), "run_id")
    if previous is not None:
        past = previous.select(F.lit("previous").alias("side"), "space_id", F.lit(ds).alias("ds"), F.lit("").alias("run_id"))
        origins = origins.unionByName(past)
    found = origins.groupBy("side", "space_id", "ds", "run_id").count().collect()
    for row in found:
        # A null space is a null column, judged as such; it is not a second space.
        if row["space_id"] is not None and row["space_id"] != space_id:
            raise SpaceMixError(
                "SPACE_MIX", f"{row['side']} rows of space {row['space_id']} met a gate of space {space_id}",
                table=table, column="space_id", expected=space_id, got=row["space_id"],
                hint="read the table with its space_id in the filter",
            )  # fmt: skip
    pairs = {(row["ds"], row["run_id"]) for row in found if row["side"] == "staged"}
    home = min((pair for pair in pairs if pair[0] == ds and pair[1] is not None), default=None)
    strays = sorted(f"{day} {run}" for day, run in pairs - {home})
    rows = sum(row["count"] for row in found if row["side"] == "staged")
    return Provenance(rows=rows, strays=len(strays), described=tuple(strays[:EXAMPLES]))


def null_columns(contract: Contract) -> Column:
    """How many required columns of a row are null."""
    nulls: Column = F.lit(0)
    for name in contract.required:
        nulls = nulls + F.col(name).isNull().cast("int")
    return nulls


def scalar_frame(staged: DataFrame, expected: DataFrame, carried_over: Sequence[str]) -> DataFrame:
    """One row a staged row, and one a key that is expected and was not staged.

    Args:
        staged: key string, identity string (what was encoded), vector, previous_vector array<float>, and ``carried_over``.
        expected: key string, and columns to keep under names of their own.
        carried_over: scalar columns of ``staged`` to keep.

    Returns:
        key, is_staged, is_expected, the carried and expected columns, dimension, non_finite, norm, cosine_previous
        (``udfs.vector_statistics``), rows_of_key (staged rows with this key), first_of_key (one row a key),
        shares_vector (another identity has exactly this vector).
    """
    kept = [name for name in expected.columns if name != "key"]
    joined = (
        staged.withColumn("is_staged", F.lit(True))
        .join(expected.withColumn("is_expected", F.lit(True)), "key", "full_outer")
        .fillna(False, ["is_staged", "is_expected"])
        .withColumn("statistics", statistics_udf()("vector", "previous_vector"))
        .withColumn("vector_hash", F.when(F.col("vector").isNotNull(), F.xxhash64("vector")))
        .select("key", "is_staged", "is_expected", "identity", "vector_hash", "statistics", *carried_over, *kept)
    )
    by_key, by_vector = Window.partitionBy("key"), Window.partitionBy("vector_hash")
    sharing = F.col("vector_hash").isNotNull() & (F.min("identity").over(by_vector) != F.max("identity").over(by_vector))
    return (
        joined.withColumn("rows_of_key", F.sum(F.col("is_staged").cast("int")).over(by_key))
        .withColumn("first_of_key", F.row_number().over(by_key.orderBy("vector_hash")) == 1)
        .withColumn("shares_vector", F.coalesce(sharing, F.lit(False)))
        .select("*", "statistics.*")
        .drop("statistics", "vector_hash", "identity")
    )


def materialised(scalars: DataFrame) -> DataFrame:
    """``scalars`` computed once, as a frame without a past.

    Great Expectations asks some thirty small queries. On a cached frame each of them plans all the joins and windows
    again before it finds the cache, which takes longer than the queries; on a checkpoint there is nothing left to plan.
    """
    return scalars.localCheckpoint()


def usable(dimension: int) -> Column:
    """Whether a row has a vector that can be used: right length, finite, with a direction."""
    return F.col("is_staged") & (F.col("dimension") == dimension) & (F.col("non_finite") == 0) & (F.col("norm") > 0)


def count_if(condition: Column) -> Column:
    return F.coalesce(F.sum(condition.cast("bigint")), F.lit(0))


def examples(scalars: DataFrame, condition: Column, number: int) -> tuple[str, ...]:
    """A few keys that meet ``condition``; asks Spark only where ``number`` says that there are some."""
    if number == 0:
        return ()
    return tuple(str(row["key"]) for row in scalars.where(condition).select("key").distinct().orderBy("key").limit(EXAMPLES).collect())


def broken(rule: Column) -> Column:
    """1 where ``rule`` is false or null, else 0."""
    return F.when(rule, 0).otherwise(1)


def null_or(name: str, condition: Column) -> Column:
    return F.col(name).isNull() | condition


def key_facts(frame: str, scalars: DataFrame, **conditions: Column) -> tuple[FrameFacts, dict[str, int]]:
    """Staged rows of ``scalars`` against the expected keys, and how many of the staged rows meet each of ``conditions``."""
    staged, expected = F.col("is_staged"), F.col("is_expected")
    counts = scalars.agg(
        count_if(staged).alias("rows"),
        count_if(expected & F.col("first_of_key")).alias("expected_rows"),
        count_if(expected & ~staged).alias("missing"),
        count_if(staged & ~expected).alias("extra"),
        *[count_if(staged & condition).alias(f"of_{name}") for name, condition in conditions.items()],
    ).collect()[0].asDict()  # fmt: skip
    met = {name: counts.pop(f"of_{name}") for name in conditions}
    facts = FrameFacts(
        frame=frame, **counts,
        missing_examples=examples(scalars, expected & ~staged, counts["missing"]),
        extra_examples=examples(scalars, staged & ~expected, counts["extra"]),
    )  # fmt: skip
    return facts, met
