"""The UDFs with a real, untrained artefact: exported, shipped, verified and loaded on the workers."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from pyspark.errors import PythonException
from pyspark.sql import SparkSession

from karma.artefact import Provenance, artefact_digest, export_encoder, load_encoder
from karma.config import EncoderConfig
from karma.model.backbone import Backbone, small_llama
from karma.model.encoder import KarmaEncoder
from karma.serving import ServingEncoder
from karma.text import render_item
from karma.tokenizer import train_tokenizer
from udfs.interest_udf import interest_udf
from udfs.item_tower_udf import item_tower_udf
from udfs.item_vectors import ItemVectorsFile
from udfs.shipping import ShippedFile, ship_file, ship_folder

FEATURES = 3
ITEMS = [("i0", "Red hat", "hats", [0.1, 0.2, 0.3]), ("i1", None, "coats", None), ("new", "Blue coat", None, [1.0, 0.0, 2.0])]
HISTORIES = [
    ("u0", ["i0", "i1", None, ""], ["click", "purchase", "query", "click"], [None, "coat", "red hat", None]),
    ("u1", ["new"], ["rating"], [None]),
    ("u2", [None], ["query"], ["blue"]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["red hat", "blue coat"], 300)
    llama = small_llama(vocabulary=len(tokenizer), hidden=16, layers=1, heads=2, intermediate=16, end=2)
    model = KarmaEncoder(EncoderConfig(dim=8, history_length=5, visual_components=2), Backbone(llama.base_model), features=FEATURES, rows=2)
    with torch.no_grad():
        # Some parts start at zero, and would hide what they read.
        model.interest.residual.weight.normal_()
        model.tower.visual_basis.normal_()
    folder = tmp_path_factory.mktemp("encoders") / "v1"
    export_encoder(folder, model, tokenizer, ["i0", "i1"], Provenance(version="v1", trained_until="2026-01-01", protocol="time_split"))
    return folder


@pytest.fixture(scope="module")
def direct(folder: Path) -> ServingEncoder:
    return load_encoder(folder)


def item_vectors(encoder: ServingEncoder) -> np.ndarray:
    texts = [render_item(title, category) for _, title, category, _ in ITEMS]
    visual = np.array([features or [0.0] * FEATURES for *_, features in ITEMS], np.float32)
    return encoder.encode_items([item for item, *_ in ITEMS], texts, visual, np.array([features is not None for *_, features in ITEMS]))


def key_of(item: str) -> str:
    return hashlib.sha256(item.encode()).hexdigest()


def test_item_vectors_equal_those_of_a_direct_call(spark: SparkSession, folder: Path, direct: ServingEncoder) -> None:
    tower = item_tower_udf(ship_folder(spark, folder, artefact_digest(folder)))
    frame = spark.createDataFrame(ITEMS, "item_id string, title string, category string, features array<float>").repartition(2)

    rows = frame.select("item_id", tower("item_id", "title", "category", "features").alias("v")).collect()

    found = {row["item_id"]: row["v"] for row in rows}
    for (item, *_), expected in zip(ITEMS, item_vectors(direct), strict=True):
        np.testing.assert_allclose(found[item], expected, atol=1e-6)


@pytest.mark.parametrize("budget", [1, 100])
def test_interests_equal_those_of_a_direct_call(
    spark: SparkSession, folder: Path, direct: ServingEncoder, tmp_path: Path, budget: int
) -> None:
    vectors = item_vectors(direct)
    keys = pa.array([key_of(item) for item, *_ in ITEMS])
    file = ItemVectorsFile.build(tmp_path, keys, pa.array(vectors.tolist(), pa.list_(pa.float32())), direct.dim)
    encode = interest_udf(ship_folder(spark, folder, artefact_digest(folder)), ship_file(spark, *file), token_budget=budget)
    hashed = [(user, [key_of(item) if item else item for item in items], types, queries) for user, items, types, queries in HISTORIES]
    frame = spark.createDataFrame(hashed, "user_id string, content_hashes array<string>, event_types array<string>, queries array<string>")

    rows = frame.coalesce(1).select("user_id", encode("content_hashes", "event_types", "queries").alias("e")).collect()

    found = {row["user_id"]: np.array(row["e"]["embedding"]) for row in rows}
    by_item = {item: vector for (item, *_), vector in zip(ITEMS, vectors, strict=True)}
    for user, items, types, queries in HISTORIES:
        tokens = np.stack([by_item[item] if item else np.zeros(direct.dim, np.float32) for item in items])
        kinds = [3 if item is None else 2 if item == "" else 1 for item in items]
        expected = direct.encode_histories(tokens[None], np.array([kinds]), np.array([direct.event_type_ids(types)]), [queries])[0]
        assert found[user] @ expected >= 0.99999
        assert np.linalg.norm(found[user]) == pytest.approx(1, abs=1e-5)


def test_a_worker_refuses_an_artefact_that_was_changed(spark: SparkSession, folder: Path) -> None:
    shipped = ship_folder(spark, folder, artefact_digest(folder))
    frame = spark.createDataFrame(pd.DataFrame({"item_id": ["i0"]})).selectExpr("item_id", "item_id AS title", "item_id AS category")
    frame = frame.selectExpr("*", "CAST(NULL AS array<float>) AS features")

    with pytest.raises(PythonException, match="ArtefactError"):
        frame.select(item_tower_udf(ShippedFile(name=shipped.name, digest="0" * 64))("item_id", "title", "category", "features")).collect()
