"""Versions of items: what is new, whose picture, which digest."""

import hashlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.hadoop_files import size_below
from jobs.landing_images import read_images
from jobs.transforms.arriving_items import content_hash_column
from karma.text import content_hash
from schemas import names
from tests.ingest.warehouse import DAY, Warehouse

START = datetime(2026, 3, 10, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
NASTY = [
    "", "0", "1", "plain", "naïve 🫖", "Ｆｕｌｌ", "e\u0301", "é", "a\x1fb", "\x00", "a\nb", "'\"\\", "x" * 5000, " pad ", "null", "1\x1f0",
]  # fmt: skip


def item(item_id: str = "i1", title: str | None = "Blue jug", **facts: Any) -> dict[str, Any]:
    return {"item_id": item_id, "title": title, "category": "kitchen", "price": 3.5, **facts}


def test_the_native_content_hash_is_that_of_the_tower(spark: SparkSession) -> None:
    values = [*NASTY, None]
    contents = [(id, values[n], values[(n * 5 + 3) % len(values)], values[(n * 7 + 1) % len(values)]) for n, id in enumerate([*NASTY, "i"])]
    frame = spark.createDataFrame(contents, "item_id string, title string, category string, image_sha256 string")
    native = {tuple(row[:4]): row[4] for row in frame.select("*", content_hash_column()).collect()}
    assert len(native) == len(contents)
    assert native == {content: content_hash(*content) for content in contents}


def test_a_version_holds_from_the_start_of_its_day_unless_it_says_more(warehouse: Warehouse) -> None:
    warehouse.land(names.ITEMS, [item("i1", valid_from=None), item("i2", valid_from=START - timedelta(days=400))])
    warehouse.ingest(names.ITEMS)
    found = {row["item_id"]: row["valid_from"].isoformat()[:10] for row in warehouse.rows(names.ITEMS)}
    assert found == {"i1": "2026-03-10", "i2": "2025-02-03"}


def test_only_news_is_a_new_version(warehouse: Warehouse) -> None:
    warehouse.land(names.ITEMS, [item("same"), item("priced"), item("titled"), item("gone")])
    warehouse.land(names.ITEMS, [item("same"), item("priced", price=4.0), item("titled", "Red jug"), item("born")], ds=NEXT)
    warehouse.ingest(names.ITEMS)
    row = warehouse.ingest(names.ITEMS, NEXT)
    assert (row.counts["accepted"], row.counts["written"], row.counts["unchanged_versions"], row.counts["quarantined"]) == (4, 3, 1, 0)
    assert {found["item_id"] for found in warehouse.rows(names.ITEMS) if found["ds"] == NEXT} == {"priced", "titled", "born"}


def test_renamed_and_renamed_back_within_a_day(warehouse: Warehouse) -> None:
    times = [START + timedelta(hours=hour) for hour in (1, 2, 3, 4)]
    titles = ["Jug", "Jug", "Red jug", "Jug"]
    warehouse.land(names.ITEMS, [item(title=title, valid_from=time) for title, time in zip(titles, times, strict=True)])
    row = warehouse.ingest(names.ITEMS)
    assert row.counts["unchanged_versions"] == 1
    versions = sorted((found["valid_from"], found["title"]) for found in warehouse.rows(names.ITEMS))
    assert [title for _, title in versions] == ["Jug", "Red jug", "Jug"]


def test_an_earlier_day_that_changes_makes_the_later_ones_stale(warehouse: Warehouse) -> None:
    """D+1 repeats D's version, so it writes none; once D withdraws the item, D+1 must bring it."""
    warehouse.land(names.ITEMS, [item("i1"), item("i2")])
    warehouse.land(names.ITEMS, [item("i1")], ds=NEXT)
    warehouse.ingest(names.ITEMS)
    assert warehouse.ingest(names.ITEMS, NEXT).counts["written"] == 0
    assert warehouse.ingest(names.ITEMS, NEXT).status == names.UNCHANGED
    warehouse.land(names.ITEMS, [item("i2")])
    warehouse.ingest(names.ITEMS)
    row = warehouse.ingest(names.ITEMS, NEXT)
    assert (row.status, row.counts["written"]) == (names.DONE, 1)
    assert {(found["item_id"], found["ds"]) for found in warehouse.rows(names.ITEMS)} == {("i2", DAY), ("i1", NEXT)}


def test_a_rerun_of_a_day_replaces_its_own_versions_alone(warehouse: Warehouse) -> None:
    warehouse.land(names.ITEMS, [item("i1")])
    warehouse.land(names.ITEMS, [item("i1", "Red jug")], ds=NEXT)
    warehouse.ingest(names.ITEMS)
    warehouse.ingest(names.ITEMS, NEXT)
    warehouse.land(names.ITEMS, [item("i1", "Green jug"), item("i3")])
    warehouse.ingest(names.ITEMS)
    found = {(row["ds"], row["item_id"], row["title"]) for row in warehouse.rows(names.ITEMS)}
    assert found == {(DAY, "i1", "Green jug"), (DAY, "i3", "Blue jug"), (NEXT, "i1", "Red jug")}


@pytest.mark.parametrize("format", ["parquet", "json"])
def test_pictures_that_land_as_bytes(warehouse: Warehouse, format: str) -> None:
    pictures = [b"\xff\xd8one", b"\xff\xd8two", None, b"\xff\xd8one"]
    spelled = pictures if format == "parquet" else [picture and b64encode(picture).decode() for picture in pictures]
    warehouse.land(names.ITEMS, [item(f"i{n}", image=image) for n, image in enumerate(spelled)], format=format)
    warehouse.ingest(names.ITEMS)
    digests = [picture and hashlib.sha256(picture).hexdigest() for picture in pictures]
    written = {row["item_id"]: row["image_sha256"] for row in warehouse.rows(names.ITEMS)}
    assert written == {f"i{n}": digest for n, digest in enumerate(digests)}
    images = {row["image_sha256"]: bytes(row["image"]) for row in read_images(warehouse.context, DAY).collect()}
    assert images == {digest: picture for digest, picture in zip(digests, pictures, strict=True) if digest}


def test_pictures_that_lie_in_files(warehouse: Warehouse) -> None:
    folder = warehouse.root / "landing" / "images" / "sub"
    folder.mkdir(parents=True)
    (folder / "a b.jpg").write_bytes(b"one")
    (folder / "c.jpg").write_bytes(b"two")
    (warehouse.root / "landing" / "secret").write_bytes(b"three")
    refs = {"i1": "sub/a b.jpg", "i2": "images/sub/c.jpg", "i3": "sub/none.jpg", "i4": "../secret", "i5": None}
    warehouse.land(names.ITEMS, [item(item_id, image_ref=ref) for item_id, ref in refs.items()])
    row = warehouse.ingest(names.ITEMS)
    one, two = hashlib.sha256(b"one").hexdigest(), hashlib.sha256(b"two").hexdigest()
    found = {entry["item_id"]: entry["image_sha256"] for entry in warehouse.rows(names.ITEMS)}
    assert found == {"i1": one, "i2": two, "i3": None, "i4": None, "i5": None}
    assert row.counts["image_missing"] == 2
    assert {entry["image_sha256"] for entry in read_images(warehouse.context, DAY).collect()} == {one, two}
    assert warehouse.ingest(names.ITEMS).status == names.UNCHANGED
    (folder / "c.jpg").write_bytes(b"TWO")
    assert warehouse.ingest(names.ITEMS).status == names.DONE


def test_a_refused_row_keeps_the_digest_of_its_picture_not_the_picture(warehouse: Warehouse) -> None:
    picture = b"\xff\xd8" * 1000
    warehouse.land(names.ITEMS, [item(), {**item("i2"), "item_id": None, "image": picture}])
    warehouse.ingest(names.ITEMS)
    (refused,) = warehouse.rows(names.QUARANTINE)
    assert f'"image:sha256":"{hashlib.sha256(picture).hexdigest()}","image:length":2000' in refused["row"]
    assert len(refused["row"]) < 300


@pytest.mark.parametrize(
    ("name", "below"), [("a.jpg", True), ("../secret", False), ("/a.jpg", False), ("", False), ("sub", False), ("none", False)]
)
def test_a_name_never_leads_out_of_the_folder(spark: SparkSession, tmp_path: Path, name: str, below: bool) -> None:
    (tmp_path / "images" / "sub").mkdir(parents=True)
    (tmp_path / "images" / "a.jpg").touch()
    (tmp_path / "secret").touch()
    assert (size_below(spark, str(tmp_path / "images"), name) is not None) is (name == "a.jpg")
