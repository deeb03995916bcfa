"""THE temporal join (P1): every join over time in the project is this one function.

Used for: impression -> snapshot that was readable, impression -> item version that held, day or training cut -> item version.
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
