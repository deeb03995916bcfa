"""Scalars of every vector in one Arrow pass, and the moments of a cloud of vectors as partial sums.

Arrays are judged here and not in Spark expressions: a higher-order function over an array is interpreted element by element.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import DoubleType, IntegerType, StructField, StructType

from karma.evaluation.spectrum import Moments

STATISTICS = StructType(
    [
        StructField("dimension", IntegerType()),
        StructField("non_finite", IntegerType()),
        StructField("norm", DoubleType()),
        StructField("cosine_previous", DoubleType()),
    ]
)
_MOMENTS = pa.schema(
    [
        pa.field("cloud", pa.bool_()),
        pa.field("count", pa.int64()),
        pa.field("total", pa.list_(pa.float64())),
        pa.field("gram", pa.list_(pa.float64())),
    ]
)
_MOMENTS_DDL = "cloud boolean, count bigint, total array<double>, gram array<double>"

# Each partial sum carries a d x d matrix to the driver: 64 of them at d = 256 are 32 MiB.
_MAX_PARTIALS = 64


def statistics_udf() -> Callable[..., Any]:
    """Arrow UDF over (vector array<float>, previous array<float>): struct ``STATISTICS``; see ``statistics_of``."""

    @arrow_udf(returnType=STATISTICS)  # type: ignore[call-overload, untyped-decorator, unused-ignore]
    def statistics(vector: pa.Array, previous: pa.Array) -> pa.Array:
        return statistics_of(vector, previous)

    return statistics  # type: ignore[no-any-return, unused-ignore]


def statistics_of(vector: pa.Array, previous: pa.Array) -> pa.StructArray:
    """Scalars of each row of two list arrays of the same length.

    Returns:
        dimension: elements, 0 for a null vector. non_finite: elements that are NaN, infinite or null.
        norm: L2, 0 for a null vector, NaN where an element is not finite.
        cosine_previous: null where a side is null; NaN where the lengths differ or a side has no direction.
    """
    values, row, dimension = _flat(vector)
    old_values, old_row, old_dimension = _flat(previous)
    n = len(vector)
    norm = _norms(values, row, n)
    old_norm = _norms(old_values, old_row, n)
    same = (dimension == old_dimension) & (dimension > 0)
    dots = np.bincount(row[same[row]], weights=values[same[row]] * old_values[same[old_row]], minlength=n)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.where(same, dots / (norm * old_norm), np.nan)
    neither_null = pc.and_(pc.is_valid(vector), pc.is_valid(previous))
    return pa.StructArray.from_arrays(
        [
            pa.array(dimension, pa.int32()),
            pa.array(np.bincount(row[~np.isfinite(values)], minlength=n), pa.int32()),
            pa.array(norm),
            pc.if_else(neither_null, pa.array(cosine, from_pandas=False), pa.scalar(None, pa.float64())),
        ],
        names=STATISTICS.names,
    )


def moments_by_cloud(frame: DataFrame, dimension: int) -> dict[bool, Moments]:
    """Moments of the usable vectors of ``frame`` (cloud boolean, vector array<float>), by cloud.

    A vector is usable where it has ``dimension`` finite elements and is not zero; others are left to the row rules.
    """
    partials = frame.select("cloud", "vector").coalesce(_MAX_PARTIALS).mapInArrow(_partial_moments(dimension), _MOMENTS_DDL)
    moments = {cloud: _zero(dimension) for cloud in (False, True)}
    for row in partials.collect():
        gram = np.asarray(row["gram"]).reshape(dimension, dimension)
        moments[row["cloud"]] += Moments(count=row["count"], total=np.asarray(row["total"]), gram=gram)
    return moments


def _partial_moments(dimension: int) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def sums(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        moments: dict[bool, Moments] = {}
        for batch in batches:
            for cloud in (False, True):
                vectors = batch.column("vector").filter(pc.equal(batch.column("cloud"), cloud))
                found = Moments.of(usable_rows(vectors, dimension))
                moments[cloud] = moments[cloud] + found if cloud in moments else found
        rows = [
            {"cloud": cloud, "count": found.count, "total": found.total, "gram": found.gram.ravel()}
            for cloud, found in moments.items()
            if found.count
        ]
        yield from pa.Table.from_pylist(rows, schema=_MOMENTS).to_batches()

    return sums


def usable_rows(vectors: pa.Array, dimension: int) -> npt.NDArray[np.float64]:
    """[n, dimension] rows of ``vectors`` that have this length, finite elements and a direction."""
    fitting = vectors.filter(pc.fill_null(pc.equal(pc.list_value_length(vectors), dimension), False))
    rows = _numbers(fitting).reshape(-1, dimension)
    usable: npt.NDArray[np.float64] = rows[np.isfinite(rows).all(axis=1) & (rows != 0).any(axis=1)]
    return usable


def _flat(vectors: pa.Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Elements of all rows, the row of each element, the length of each row (0 for null)."""
    lengths = pc.fill_null(pc.list_value_length(vectors), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return _numbers(vectors), np.repeat(np.arange(len(vectors)), lengths), lengths


def _numbers(vectors: pa.Array) -> npt.NDArray[np.float64]:
    # flatten() respects slices and skips null rows; a null element becomes NaN.
    numbers: npt.NDArray[np.float64] = vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    return numbers


def _norms(values: npt.NDArray[np.float64], row: npt.NDArray[np.intp], n: int) -> npt.NDArray[np.float64]:
    norms: npt.NDArray[np.float64] = np.sqrt(np.bincount(row, weights=values * values, minlength=n))
    return np.where(np.isfinite(norms), norms, np.nan)


def _zero(dimension: int) -> Moments:
    return Moments(count=0, total=np.zeros(dimension), gram=np.zeros((dimension, dimension)))
