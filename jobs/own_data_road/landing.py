"""A user's files as a bulk of the landing zone: as they are; items get their pictures' bytes beside them."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs import hadoop_files
from jobs.digests import digest_of
from jobs.errors import UsageError
from jobs.landing import content_digest, find_partition, read_partition
from jobs.landing_formats import format_of
from jobs.mapping import IMAGE, Mapping
from jobs.stage import Context
from schemas import names

log = logging.getLogger("karma.own_data")

LANDED = "_landed.json"
"""Written last into a landed folder: the digest of what lies in it. Its leading underscore hides it from readers of data."""
MALFORMED = "malformed_row"
"""Column of landed items: a line of the source that could not be parsed (base64); its other columns are null."""


@dataclass(frozen=True, kw_only=True)
class ItemColumns:
    """What the source of the items calls the columns that pictures are found by, and the one that their bytes go to."""

    item_id: str = "item_id"
    image_ref: str = "image_ref"
    image: str = IMAGE

    @classmethod
    def of(cls, mapping: Mapping) -> "ItemColumns":
        """The names that ``mapping`` gives, else the contract's."""
        rules = mapping.rules(names.ITEMS)
        named = {column: rules[column].column for column in ("item_id", "image_ref", IMAGE) if column in rules}
        return cls(**{column: name for column, name in named.items() if name})


def land_files(context: Context, table: str, source: Path) -> Path:
    """Put ``source`` (a file or a folder of files) into the bulk of ``table`` unchanged: linked where the disk allows it, else copied.

    Returns the folder. Raises InputMissingError: there is no ``source``; JobError: its files have no known or no single format.
    """
    _refuse_own_landing(context, source)
    partition = find_partition(context.spark, context.places, table, None, str(source))
    folder = context.places.landing_bulk(table)
    root = source if source.is_dir() else source.parent

    def write() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in partition.files:
            _link_or_copy(root / file.name, folder / file.name)

    return _land(folder, content_digest(context.spark, partition), write)


def _refuse_own_landing(context: Context, source: Path) -> None:
    """What lies in the landing zone is replaced by what is landed: a source there would be deleted, one around it would read itself."""
    ours, theirs = Path(context.places.landing).resolve(), source.resolve()
    if theirs.is_relative_to(ours) or ours.is_relative_to(theirs):
        raise UsageError(
            "SOURCE_IN_LANDING", "a source and the landing zone of --out lie in each other",
            expected=f"a place apart from {ours}", got=theirs, hint="keep your files elsewhere, or choose another --out",
        )  # fmt: skip


def land_items(context: Context, items: Path, images: Path, mapping: Mapping) -> Path:
    """Put ``items`` into their bulk as Parquet with a column for the bytes of the item's picture, null without one.

    Args:
        images: a table (item_id, image: bytes), or a folder of pictures named by the item's image_ref, or <item_id>.<ext>.

    Raises as ``land_files``; UsageError: the table of images lacks a column.
    """
    _refuse_own_landing(context, items)
    _refuse_own_landing(context, images)
    columns = ItemColumns.of(mapping)
    partition = find_partition(context.spark, context.places, names.ITEMS, None, str(items))
    digest = digest_of(content_digest(context.spark, partition), _images_digest(context, images), vars(columns))
    folder = context.places.landing_bulk(names.ITEMS)

    def write() -> None:
        rows = read_partition(context.spark, partition, mapping.csv).rows.select("source.*", F.base64("raw").alias(MALFORMED))
        with_images(rows, _pictures(context, images, mapping, columns), columns).write.mode("overwrite").parquet(str(folder))

    return _land(folder, digest, write)


def land_frame(frame: DataFrame, digest: str, folder: Path) -> Path:
    """Put ``frame`` into ``folder`` as Parquet; ``digest`` says what it was made from."""
    return _land(folder, digest, lambda: frame.write.mode("overwrite").parquet(str(folder)))


def _land(folder: Path, digest: str, write: Callable[[], None]) -> Path:
    """Write and mark, or leave a folder that holds the same already."""
    note = folder / LANDED
    if note.is_file() and (folder / names.SUCCESS_MARKER).is_file() and json.loads(note.read_text())["digest"] == digest:
        log.info("landed already: %s", folder)
        return folder
    write()
    (folder / names.SUCCESS_MARKER).touch()
    note.write_text(json.dumps({"digest": digest}))
    log.info("landed: %s", folder)
    return folder


def _link_or_copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file.resolve(), target)
    except OSError:
        shutil.copyfile(file, target)


def with_images(items: DataFrame, pictures: DataFrame, columns: ItemColumns) -> DataFrame:
    """``items`` with the pictures' bytes: each row once. ``pictures``: _key, image; each key once."""
    key = F.col(columns.item_id).cast("string")
    if columns.image_ref in items.columns:
        key = F.coalesce(F.nullif(_last_part(F.col(columns.image_ref)), F.lit("")), key)
    return items.withColumn("_key", key).join(pictures.withColumnRenamed("image", columns.image), "_key", "left").drop("_key")


def _is_table(images: Path) -> bool:
    return images.is_file() or any(format_of(file.name) for file in images.iterdir())


def _images_digest(context: Context, images: Path) -> str:
    if not images.exists():
        raise UsageError("NO_IMAGES", "the images are not there", expected="a table or a folder of pictures", got=images)
    files = hadoop_files.list_files(context.spark, str(images))
    return digest_of(list(zip([file.name for file in files], hadoop_files.content_digests(context.spark, files), strict=True)))


def _pictures(context: Context, images: Path, mapping: Mapping, columns: ItemColumns) -> DataFrame:
    """(_key, image): by item_id from a table; by file name, and by file name without its ending, from a folder."""
    if not _is_table(images):
        return _pictures_in(context, images)
    partition = find_partition(context.spark, context.places, names.ITEMS, None, str(images))
    table = read_partition(context.spark, partition, mapping.csv).rows.select("source.*")
    key = next((name for name in (columns.item_id, "item_id") if name in table.columns), None)
    if key is None or IMAGE not in table.columns:
        raise UsageError("IMAGES_COLUMNS", "the table of images lacks a column", expected="item_id, image", got=", ".join(table.columns))
    content = F.try_to_binary(F.col(IMAGE), F.lit("base64")) if dict(table.dtypes)[IMAGE] == "string" else F.col(IMAGE)
    return table.select(F.col(key).cast("string").alias("_key"), content.alias(IMAGE)).groupBy("_key").agg(F.max(IMAGE).alias("image"))


def _pictures_in(context: Context, folder: Path) -> DataFrame:
    files = context.spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(str(folder))
    decoded = F.url_decode(F.replace(F.col("path"), F.lit("+"), F.lit("%2B")))  # the path is a URI, in which a plus is a plus
    named = files.select(_last_part(decoded).alias("_name"), F.col("content").alias("image"))
    keys = F.array_distinct(F.array("_name", F.regexp_replace("_name", r"\.[^.]*$", "")))
    keyed = named.select(F.explode(keys).alias("_key"), "_name", "image")
    return keyed.groupBy("_key").agg(F.min_by("image", "_name").alias("image"))


def _last_part(path: Column) -> Column:
    return F.regexp_extract(path, r"([^/\\]+)$", 1)


def land_empty_day(context: Context, table: str, day: date) -> None:
    """A landing partition of ``day`` with its marker and no rows."""
    folder = Path(context.places.landing_partition(table, day.isoformat()))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names.SUCCESS_MARKER).touch()
