"""The UDFs on real Python workers: same vectors as a direct call, one load a worker, no load of the wrong thing."""

import hashlib
import io
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image
from pyspark.errors import PythonException
from pyspark.sql import SparkSession

from karma.vision import ImageReason, load_vision_encoder
from tests.udfs.fake_encoder import DIM, FakeEncoder, load_fake, make_folder
from udfs.interest_udf import encode_interests, interest_udf
from udfs.item_tower_udf import item_tower_udf
from udfs.item_vectors import ItemVectorsFile
from udfs.shipping import ShippedFile, ship_file, ship_folder
from udfs.visual_udf import visual_udf

USERS = 60
_KEYS = [hashlib.sha256(str(item).encode()).hexdigest() for item in range(20)]
_SCHEMA = "user_id string, content_hashes array<string>, event_types array<string>, queries array<string>"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "loads.log"
    path.touch()
    return path


@pytest.fixture
def encoder(spark: SparkSession, tmp_path: Path, log: Path) -> ShippedFile:
    digest = make_folder(tmp_path / "fake", log)
    return ship_folder(spark, tmp_path / "fake", digest)


@pytest.fixture
def vectors_file(tmp_path: Path) -> tuple[Path, str]:
    rows = np.random.default_rng(0).normal(size=(len(_KEYS), DIM))
    return ItemVectorsFile.build(tmp_path, pa.array(_KEYS), pa.array(rows.tolist(), pa.list_(pa.float32())), DIM)


@pytest.fixture
def arrow_batch(spark: SparkSession) -> Iterator[None]:
    """Restores the size of Spark's Arrow batches."""
    key = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(key)
    yield
    spark.conf.set(key, before)


def _histories() -> pd.DataFrame:
    rng = np.random.default_rng(1)

    def history(user: int) -> dict[str, object]:
        length = int(rng.integers(1, 25))
        keys = [[*_KEYS, "", None][rng.integers(0, len(_KEYS) + 2)] for _ in range(length)]
        queries = [None if key is not None and rng.random() < 0.5 else f"query {rng.integers(0, 9)}" for key in keys]
        return {
            "user_id": f"u{user}",
            "content_hashes": keys,
            "event_types": rng.choice(["click", "query", "other"], length).tolist(),
            "queries": queries,
        }

    return pd.DataFrame([history(user) for user in range(USERS)])


def _direct(histories: pd.DataFrame, items: ItemVectorsFile) -> dict[str, np.ndarray]:
    """Each history on its own through the same encoder, in this process."""
    columns = [histories[name].map(lambda cell: np.array(cell, object)) for name in ("content_hashes", "event_types", "queries")]
    rows = [encode_interests(FakeEncoder(), items, *(column.iloc[[row]] for column in columns), 1) for row in range(len(histories))]  # type: ignore[arg-type]
    return {user: row["embedding"][0] for user, row in zip(histories["user_id"], rows, strict=True)}


@pytest.mark.parametrize(("partitions", "batch"), [(1, 10_000), (4, 7), (3, 1)])
def test_interests_equal_direct_calls(
    spark: SparkSession, encoder: ShippedFile, vectors_file: tuple[Path, str], arrow_batch: None, partitions: int, batch: int
) -> None:
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", batch)
    histories = _histories()
    encode = interest_udf(encoder, ship_file(spark, *vectors_file), token_budget=40, load=load_fake)
    frame = spark.createDataFrame(histories.to_dict("records"), _SCHEMA).repartition(partitions)

    rows = frame.select("user_id", encode("content_hashes", "event_types", "queries").alias("e")).collect()

    expected = _direct(histories, ItemVectorsFile.open(*vectors_file))
    lengths = dict(zip(histories["user_id"], histories["content_hashes"].map(len), strict=True))
    assert sorted(row["user_id"] for row in rows) == sorted(expected)
    for row in rows:
        np.testing.assert_allclose(row["e"]["embedding"], expected[row["user_id"]], rtol=1e-5, atol=1e-6)
        assert row["e"]["tokens"] == lengths[row["user_id"]]
        assert row["e"]["padded_tokens"] >= row["e"]["tokens"]


def test_a_worker_loads_the_model_once_for_all_its_tasks(
    spark: SparkSession, encoder: ShippedFile, vectors_file: tuple[Path, str], log: Path
) -> None:
    encode = interest_udf(encoder, ship_file(spark, *vectors_file), token_budget=40, load=load_fake)
    frame = spark.createDataFrame(_histories().to_dict("records"), _SCHEMA).repartition(8)

    for _ in range(2):
        frame.select(encode("content_hashes", "event_types", "queries")).write.format("noop").mode("overwrite").save()

    loads = Counter(log.read_text().split())
    assert loads
    assert set(loads.values()) == {1}  # by process id; 16 tasks ran
    assert len(loads) <= spark.sparkContext.defaultParallelism


def test_a_worker_refuses_an_encoder_of_another_digest(
    spark: SparkSession, encoder: ShippedFile, vectors_file: tuple[Path, str], log: Path
) -> None:
    other = ShippedFile(name=encoder.name, digest="0" * 64)
    encode = interest_udf(other, ship_file(spark, *vectors_file), token_budget=40, load=load_fake)

    with pytest.raises(PythonException, match="WrongDigestError"):
        spark.createDataFrame(_histories().to_dict("records"), _SCHEMA).select(encode("content_hashes", "event_types", "queries")).collect()
    assert log.read_text() == ""


def test_a_worker_refuses_item_vectors_of_another_digest(spark: SparkSession, encoder: ShippedFile, vectors_file: tuple[Path, str]) -> None:
    shipped = ship_file(spark, *vectors_file)
    encode = interest_udf(encoder, ShippedFile(name=shipped.name, digest="0" * 64), token_budget=40, load=load_fake)

    with pytest.raises(PythonException, match="ItemVectorsError"):
        spark.createDataFrame(_histories().to_dict("records"), _SCHEMA).select(encode("content_hashes", "event_types", "queries")).collect()


def test_item_tower_equals_a_direct_call(spark: SparkSession, encoder: ShippedFile) -> None:
    rows = [
        (f"i{place}", title, category, features)
        for place, (title, category, features) in enumerate(itertools.product(["Red Shoe", None], ["shoes", None], [[0.5, 1.0], None]))
    ]
    frame = spark.createDataFrame(rows, "item_id string, title string, category string, features array<float>").repartition(3)

    found = frame.select(
        "item_id", item_tower_udf(encoder, load=load_fake)("item_id", "title", "category", "features").alias("v")
    ).collect()

    texts = {
        ("Red Shoe", "shoes"): "red shoe. shoes",
        ("Red Shoe", None): "red shoe",
        (None, "shoes"): "[no title]. shoes",
        (None, None): "[no title]",
    }
    vectors = {row["item_id"]: row["v"] for row in found}
    assert len(vectors) == len(rows)
    for item_id, title, category, features in rows:
        visual = np.array([features or [0.0, 0.0]], np.float32)
        expected = FakeEncoder().encode_items([item_id], [texts[title, category]], visual, np.array([features is not None]))
        np.testing.assert_allclose(vectors[item_id], expected[0], rtol=1e-5, atol=1e-6)


def test_images_give_features_or_a_reason(spark: SparkSession) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    images = {"good": buffer.getvalue(), "cut": buffer.getvalue()[:600], "text": b"<html>", "empty": b"", "none": None}
    frame = spark.createDataFrame(list(images.items()), "name string, image binary").coalesce(1)

    rows = {row["name"]: row["v"] for row in frame.select("name", visual_udf("efficientnet-lite0")("image").alias("v")).collect()}

    expected = load_vision_encoder("efficientnet-lite0").encode([picture])[0]
    np.testing.assert_allclose(rows["good"]["features"], expected, rtol=1e-3, atol=1e-4)
    assert rows["good"]["reason"] is None
    assert {name: row["reason"] for name, row in rows.items() if row["features"] is None} == {
        "cut": ImageReason.TRUNCATED,
        "text": ImageReason.NOT_AN_IMAGE,
        "empty": ImageReason.EMPTY,
        "none": ImageReason.EMPTY,
    }
