"""Bad pictures through ingest-items and visual-features: each refused with its reason, or read as its first frame."""

import hashlib

import numpy as np
import pytest
from pyspark.sql import SparkSession

from jobs import ingest_items, visual_features
from schemas import names
from tests.bad_input.outcomes import documented, quarantined
from tests.bad_input.pictures import GOOD, KINDS
from tests.ingest.warehouse import DAY, Warehouse

LANDED = [*GOOD, *(data for _, pictures in KINDS.values() for data in pictures)]


@pytest.fixture(scope="module")
def world(_spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Every picture as a file named .jpg, each of an item of its own; ingested and encoded by the small encoder."""
    warehouse = Warehouse(_spark_session, tmp_path_factory.mktemp("pictures"))
    folder = warehouse.root / "landing" / "images"
    folder.mkdir(parents=True)
    for number, data in enumerate(LANDED):
        (folder / f"{number}.jpg").write_bytes(data)
    items = [{"item_id": f"i{number}", "title": "jug", "image_ref": f"{number}.jpg"} for number in range(len(LANDED))]
    warehouse.land(names.ITEMS, items)
    where = ["--root", str(warehouse.root), "--ds", str(DAY)]
    assert ingest_items.main(where) == names.EXIT_DONE
    assert visual_features.main([*where, "--vision", "efficientnet-lite0@32"]) == names.EXIT_DONE
    return warehouse


def _features(warehouse: Warehouse) -> dict[str, np.ndarray]:
    return {row["image_sha256"]: np.array(row["features"]) for row in warehouse.rows(names.VISUAL_FEATURES)}


@pytest.mark.parametrize("kind", KINDS)
def test_its_outcome_is_the_documented_one(world: Warehouse, kind: str) -> None:
    outcome, pictures = KINDS[kind]
    assert outcome == documented()[kind]
    reasons = {row["source_file"]: quarantined(row["reason"]) for row in world.rows(names.QUARANTINE)}
    encoded = _features(world)
    for digest in (hashlib.sha256(data).hexdigest() for data in pictures):
        assert (reasons.get(digest, "accepted"), digest in encoded) == (outcome, outcome == "accepted")


def test_every_picture_is_encoded_or_quarantined_and_every_item_accepted(world: Warehouse) -> None:
    looked = world.context.ledger.state(names.VISUAL_FEATURES_JOB, DAY)
    ingested = world.context.ledger.state(names.INGEST_ITEMS_JOB, DAY)
    assert looked is not None
    assert ingested is not None
    assert dict(looked.counts) == {"encoded": 4, "quarantined": 5}
    assert len(LANDED) == 4 + 5 == ingested.counts["accepted"] == ingested.counts["read"]
    assert {row["table"] for row in world.rows(names.QUARANTINE)} == {names.VISUAL_FEATURES}


def test_an_animation_is_its_first_frame(world: Warehouse) -> None:
    encoded = _features(world)
    for still, animated in zip(GOOD, KINDS["an animated image"][1], strict=True):
        digests = (hashlib.sha256(data).hexdigest() for data in (still, animated))
        first, second = (encoded[digest] for digest in digests)
        np.testing.assert_allclose(first, second, atol=0.05)
