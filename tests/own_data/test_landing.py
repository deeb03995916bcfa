"""A user's files become a bulk: unchanged where nothing is to be done, with the right picture beside each item."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from jobs.errors import InputMissingError, UsageError
from jobs.mapping import Mapping
from jobs.own_data_road.landing import LANDED, MALFORMED, land_empty_day, land_files, land_items
from jobs.places import Places
from jobs.stage import Context
from schemas import names


@pytest.fixture
def context(spark: SparkSession, tmp_path: Path) -> Context:
    return Context(spark=spark, places=Places(str(tmp_path / "out")), run_at=datetime(2026, 3, 1, tzinfo=UTC))


def _landed_items(context: Context) -> dict[str, bytes | None]:
    rows = context.spark.read.parquet(str(context.places.landing_bulk(names.ITEMS))).collect()
    return {row["item_id"]: None if row["image"] is None else bytes(row["image"]) for row in rows}


def test_files_land_as_they_are_and_only_when_they_changed(context: Context, tmp_path: Path) -> None:
    source = tmp_path / "events.jsonl"
    source.write_bytes(b'{"user_id": "u"}\nnot json\n')
    folder = land_files(context, names.EVENTS, source)
    assert folder == tmp_path / "out/landing/events/bulk"
    assert (folder / "events.jsonl").read_bytes() == b'{"user_id": "u"}\nnot json\n'
    assert (folder / names.SUCCESS_MARKER).is_file()
    written = (folder / LANDED).stat().st_mtime_ns
    land_files(context, names.EVENTS, source)
    assert (folder / LANDED).stat().st_mtime_ns == written
    source.unlink()
    source.write_bytes(b'{"user_id": "v"}\n')
    land_files(context, names.EVENTS, source)
    assert (folder / "events.jsonl").read_bytes() == b'{"user_id": "v"}\n'


def test_a_folder_lands_whole_and_without_what_it_no_longer_holds(context: Context, tmp_path: Path) -> None:
    source = tmp_path / "export"
    (source / "b").mkdir(parents=True)
    for name in ("a.csv", "b/c.csv"):
        (source / name).write_text("user_id\nu\n")
    folder = land_files(context, names.EVENTS, source)
    assert (folder / "b/c.csv").is_file()
    (source / "b/c.csv").unlink()
    land_files(context, names.EVENTS, source)
    assert sorted(file.name for file in folder.rglob("*.csv")) == ["a.csv"]


def test_a_source_that_is_not_there_is_named(context: Context, tmp_path: Path) -> None:
    with pytest.raises(InputMissingError, match=r"nowhere\.csv"):
        land_files(context, names.EVENTS, tmp_path / "nowhere.csv")


def test_pictures_of_a_table_meet_their_items_once(context: Context, tmp_path: Path) -> None:
    items, images = tmp_path / "items.csv", tmp_path / "images.parquet"
    items.write_text("sku,title\na,Lamp\nb,Mug\nc,Hat\n")
    pd.DataFrame({"sku": ["a", "b", "b", "z"], "image": [b"A", b"B1", b"B2", b"Z"]}).to_parquet(images)
    land_items(context, items, images, Mapping.model_validate({"items": {"item_id": "sku"}}))
    rows = context.spark.read.parquet(str(context.places.landing_bulk(names.ITEMS))).collect()
    assert sorted((row["sku"], row["image"] and bytes(row["image"])) for row in rows) == [("a", b"A"), ("b", b"B2"), ("c", None)]


def test_pictures_of_a_folder_are_found_by_reference_or_by_item(context: Context, tmp_path: Path) -> None:
    images, items = tmp_path / "images", tmp_path / "items.jsonl"
    (images / "deep").mkdir(parents=True)
    for name in ("a.jpg", "x y+z.png", "deep/d.jpeg", "e.1.png"):
        (images / name).write_bytes(name.encode())
    items.write_text(
        '{"item_id": "a", "image_ref": null}\n{"item_id": "b", "image_ref": "pictures/x y+z.png"}\n'
        '{"item_id": "d", "image_ref": ""}\n{"item_id": "e.1"}\n{"item_id": "none", "image_ref": "a"}\n'
        '{"item_id": "f", "image_ref": "gone.png"}\n'
    )
    land_items(context, items, images, Mapping())
    assert _landed_items(context) == {
        "a": b"a.jpg", "b": b"x y+z.png", "d": b"deep/d.jpeg", "e.1": b"e.1.png", "none": b"a.jpg", "f": None,
    }  # fmt: skip


def test_a_line_that_cannot_be_read_is_not_lost_beside_pictures(context: Context, tmp_path: Path) -> None:
    items, images = tmp_path / "items.jsonl", tmp_path / "images.parquet"
    items.write_text('{"item_id": "a"}\nnot json\n')
    pd.DataFrame({"item_id": ["a"], "image": [b"A"]}).to_parquet(images)
    land_items(context, items, images, Mapping())
    rows = context.spark.read.parquet(str(context.places.landing_bulk(names.ITEMS))).collect()
    assert {(row["item_id"], row[MALFORMED]) for row in rows} == {("a", None), (None, "bm90IGpzb24=")}


def test_a_table_of_images_without_bytes_is_refused(context: Context, tmp_path: Path) -> None:
    items, images = tmp_path / "items.csv", tmp_path / "images.csv"
    items.write_text("item_id\na\n")
    images.write_text("item_id,url\na,b\n")
    with pytest.raises(UsageError, match="IMAGES_COLUMNS"):
        land_items(context, items, images, Mapping())


@pytest.mark.parametrize("damage", [LANDED, names.SUCCESS_MARKER])
def test_a_landing_that_was_cut_short_is_written_again(context: Context, tmp_path: Path, damage: str) -> None:
    source = tmp_path / "events.csv"
    source.write_text("user_id\nu\n")
    folder = land_files(context, names.EVENTS, source)
    (folder / damage).unlink()
    (folder / "events.csv").unlink()
    land_files(context, names.EVENTS, source)
    assert (folder / "events.csv").read_text() == "user_id\nu\n"


def test_an_empty_day_has_its_marker_alone(context: Context) -> None:
    land_empty_day(context, names.ITEMS, datetime(2026, 2, 3, tzinfo=UTC).date())
    folder = Path(context.places.landing_partition(names.ITEMS, "2026-02-03"))
    assert [file.name for file in folder.iterdir()] == [names.SUCCESS_MARKER]
