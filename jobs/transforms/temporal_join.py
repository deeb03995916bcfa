"""THE temporal join (P1): every join over time in the project is here, for the newest version known or for the newest n.

Used for: impression -> snapshot that was readable, impression -> item version that held, day or training cut -> item version; request
-> the events before it.
"""

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

_KEYLESS_PARTITIONS = 8


def point_in_time_join(
    left: DataFrame,
    right: DataFrame,
    *,
    on: Sequence[str],
    at: str,
    known_from: str,
    newest_by: str,
    take: Sequence[str],
) -> DataFrame:
    """For every row of ``left``, among the rows of ``right`` known at its time, the newest one's columns.

    A row of ``right`` is a candidate where all ``on`` columns are equal and ``right.known_from <= left.at``
    (inclusive). Among the candidates the one with the greatest ``newest_by`` is taken; equal ones are settled by the
    greatest ``take`` values, so the result does not depend on the order of rows. Every row of ``left`` comes out
    exactly once, duplicates included; without a candidate the ``take`` columns are null. A null in ``on``, ``at`` or
    ``known_from`` matches nothing.

    Args:
        left: the timeline; keeps all its columns.
        right: versions. Take identifiers and join wide payloads (vectors) afterwards: this join sorts by time.
        on: equality keys, present in both; may be empty where ``right`` is small (a list of snapshots).
        at: timestamp column of ``left``.
        known_from: timestamp column of ``right``.
        newest_by: column of ``right`` that ranks the candidates (``ds`` of a snapshot, ``valid_from`` of a version).
        take: columns of ``right`` to bring; must not exist in ``left``.

    How: one window over the union of both sides, a running maximum in time order, versions before the rows of the
    same instant: one shuffle by key, linear in rows, however many versions a key has.
    """
    versions = _versions(right, on, known_from, newest_by, take)
    timeline = left.select(
        *[F.col(name).alias(f"_on_{name}") for name in on],
        F.col(at).alias("_time"),
        F.lit(1).alias("_side"),
        F.struct(*left.columns).alias("_left"),
        F.lit(None).cast(versions.schema["_version"].dataType).alias("_version"),
    )
    keys = [f"_on_{name}" for name in on]
    if not keys:
        keys, timeline, versions = ["_on_"], _salted(timeline), _replicated(versions)
    both = timeline.unionByName(versions.withColumn("_left", F.lit(None).cast(timeline.schema["_left"].dataType)))
    so_far = Window.partitionBy(*keys).orderBy("_time", "_side").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    known = F.when(_all_present([*keys, "_time"]), F.max("_version").over(so_far))
    newest = both.withColumn("_newest", known).where(F.col("_side") == 1)
    return newest.select("_left.*", *[F.col(f"_newest.{name}").alias(name) for name in take])


def point_in_time_newest(
    left: DataFrame,
    right: DataFrame,
    *,
    key: Sequence[str],
    on: Sequence[str],
    at: str,
    known_from: str,
    take: Sequence[str],
    n: int,
    into: str,
) -> DataFrame:
    """For every row of ``left``, among the rows of ``right`` known at its time, the ``n`` newest, as one array.

    Candidates are those of ``point_in_time_join``: equal ``on`` and ``right.known_from <= left.at`` (inclusive). Every row of ``left``
    comes out once.

    Args:
        key: columns of ``left`` that tell its rows apart.
        take: columns of ``right``, the fields of the array's structs; the newest rows are those that are greatest in this order.
        into: the array's name, oldest first; empty for a row without a candidate.

    How: an equality join, then one window a row of ``left``: linear in the pairs of equal ``on``. Give it no more of ``right`` than
    can be among the newest.
    """
    versions = F.col(known_from).alias("_known_from"), F.struct(*take).alias("_version")
    candidates = right.where(_all_present([*on, known_from])).select(*on, *versions)
    pairs = left.select(*key, *on, F.col(at).alias("_at")).join(candidates, list(on)).where(F.col("_known_from") <= F.col("_at"))
    newest_first = Window.partitionBy(*key).orderBy(F.desc("_version"))
    newest = pairs.withColumn("_n", F.row_number().over(newest_first)).where(F.col("_n") <= n)
    gathered = newest.groupBy(*key).agg(F.sort_array(F.collect_list("_version")).alias("_newest"))
    empty = F.array().cast(gathered.schema["_newest"].dataType)
    return left.join(gathered, list(key), "left").withColumn(into, F.coalesce("_newest", empty)).drop("_newest")


def _versions(right: DataFrame, on: Sequence[str], known_from: str, newest_by: str, take: Sequence[str]) -> DataFrame:
    """``right`` as rows of the union; a row that can match nothing is dropped."""
    return right.where(_all_present([*on, known_from, newest_by])).select(
        *[F.col(name).alias(f"_on_{name}") for name in on],
        F.col(known_from).alias("_time"),
        F.lit(0).alias("_side"),
        F.struct(F.col(newest_by).alias("_newest_by"), *take).alias("_version"),
    )


def _salted(timeline: DataFrame) -> DataFrame:
    """Without keys everything would be one window partition: spread the timeline over a few."""
    return timeline.withColumn("_on_", F.pmod(F.monotonically_increasing_id(), F.lit(_KEYLESS_PARTITIONS)))


def _replicated(versions: DataFrame) -> DataFrame:
    return versions.withColumn("_on_", F.explode(F.sequence(F.lit(0).cast("long"), F.lit(_KEYLESS_PARTITIONS - 1).cast("long"))))


def _all_present(columns: Sequence[str]) -> "F.Column":
    present = F.lit(True)
    for name in columns:
        present = present & F.col(name).isNotNull()
    return present
