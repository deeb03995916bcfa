"""Scalars of vectors against values worked out by hand, and partial sums against one matrix."""

import math

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from udfs.vector_statistics import moments_by_cloud, statistics_of, usable_rows

FLOATS = pa.list_(pa.float32())


def statistics(vectors: list[list[float | None] | None], previous: list[list[float | None] | None] | None = None) -> list[dict[str, float]]:
    old = [None] * len(vectors) if previous is None else previous
    rows: list[dict[str, float]] = statistics_of(pa.array(vectors, FLOATS), pa.array(old, FLOATS)).to_pylist()
    return rows


def test_dimension_and_norm() -> None:
    found = statistics([[3.0, 4.0], [], [1.0], None])
    assert [row["dimension"] for row in found] == [2, 0, 1, 0]
    assert [row["norm"] for row in found] == [5.0, 0.0, 1.0, 0.0]
    assert [row["non_finite"] for row in found] == [0, 0, 0, 0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
def test_an_element_that_is_not_finite_is_counted_in_its_row_alone(bad: float | None) -> None:
    found = statistics([[1.0, 0.0], [bad, 1.0, bad], [0.0, 1.0]])
    assert [row["non_finite"] for row in found] == [0, 2, 0]
    assert math.isnan(found[1]["norm"])
    assert found[2]["norm"] == 1.0


def test_cosine_to_the_previous_vector() -> None:
    vectors: list[list[float | None] | None] = [[1.0, 0.0], [2.0, 0.0], [1.0, 0.0], None, [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    previous: list[list[float | None] | None] = [[3.0, 4.0], [-1.0, 0.0], None, [1.0, 0.0], [1.0], [1.0, 0.0], [1.0, 0.0]]
    cosines = [row["cosine_previous"] for row in statistics(vectors, previous)]
    assert cosines[0] == pytest.approx(3 / 5)
    assert cosines[1] == pytest.approx(-1)
    assert cosines[2] is None
    assert cosines[3] is None
    assert math.isnan(cosines[4])  # another dimension
    assert cosines[5] == pytest.approx(1)
    assert math.isnan(cosines[6])  # no direction


def test_slices_are_read_by_their_own_offsets() -> None:
    whole = pa.array([[9.0], [3.0, 4.0], None, [6.0, 8.0]], FLOATS)
    found = statistics_of(whole.slice(1), whole.slice(1)).to_pylist()
    assert [row["norm"] for row in found] == [5.0, 0.0, 10.0]


def test_usable_rows_drop_what_has_no_direction() -> None:
    rows = usable_rows(pa.array([[1.0, 0.0], [0.0, 0.0], [math.nan, 1.0], [1.0], None, [1.0, None], [0.0, 2.0]], FLOATS), 2)
    np.testing.assert_array_equal(rows, [[1.0, 0.0], [0.0, 2.0]])


def test_moments_of_partitions_add_up_to_the_spectrum_of_all_rows(spark: SparkSession) -> None:
    vectors = np.random.default_rng(1).normal(size=(60, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [(i % 3 == 0, vector.tolist()) for i, vector in enumerate(vectors)] + [(True, None), (False, [1.0]), (None, [1.0] * 8)]
    moments = moments_by_cloud(spark.createDataFrame(rows, "cloud boolean, vector array<float>").repartition(3), 8)
    assert (moments[True].count, moments[False].count) == (20, 40)
    found = (moments[True] + moments[False]).spectrum()
    singular = np.linalg.svd(vectors.astype(np.float64), compute_uv=False)
    shares = singular / singular.sum()
    cosines = (vectors @ vectors.T)[~np.eye(60, dtype=bool)]
    assert found.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-5)
    assert found.first_component_share == pytest.approx(singular[0] ** 2 / (singular**2).sum(), rel=1e-5)
    assert found.mean_cosine == pytest.approx(cosines.mean(), abs=1e-6)
