"""Checked rows of a source of items -> versions for the table items, each with its verdict."""

from datetime import date, datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.mapping import IMAGE
from jobs.transforms.contract_check import PLACE, VERDICT, first_verdict, place_of_rejected
from jobs.transforms.unambiguous import joined, marked
from karma.text import RENDERER_VERSION
from schemas import names, reasons
from schemas.contracts import CONTRACTS

UNCHANGED_VERSION = "unchanged_version"
"""A verdict that refuses nothing: the row is accepted, and says what the version before it says."""
IMAGE_FILE = "image_file"


def content_hash_column() -> Column:
    """``karma.text.content_hash`` of item_id, title, category and image_sha256, natively; a test holds the two equal."""
    content = [marked(F.col(name)) for name in ("title", "category", "image_sha256")]
    return F.sha2(joined([F.lit(RENDERER_VERSION), F.col("item_id"), *content]), 256)


def image_file_column() -> Column:
    """The file below ``<landing>/images/`` that image_ref names, whether or not it begins with ``images/``."""
    return F.regexp_replace("image_ref", r"^(\./)?(images/)?", "")


def judge_items(checked: DataFrame, ds: date, valid_from: datetime, image_files: DataFrame | None, earlier: DataFrame | None) -> DataFrame:
    """The contract's columns, PLACE and VERDICT.

    Args:
        ds: the arrival day of all rows.
        valid_from: from when a version holds whose source does not say (inclusive).
        image_files: IMAGE_FILE and image_sha256 of the files that the rows may name; None where there are none.
        earlier: versions of the table that arrived before ``ds``; None where there are none.
    """
    versions = _with_image_digest(checked, image_files).withColumn("ds", F.lit(ds))
    versions = versions.withColumn("valid_from", F.coalesce(F.col("valid_from"), F.lit(valid_from)))
    versions = versions.withColumn("content_hash", content_hash_column()).select(*CONTRACTS[names.ITEMS].names, *PLACE, VERDICT)
    return _without_news(_once(versions), earlier)


def _with_image_digest(checked: DataFrame, image_files: DataFrame | None) -> DataFrame:
    own = F.sha2(F.col(IMAGE), 256)
    if image_files is None:
        return checked.withColumn("image_sha256", own)
    in_file = image_files.withColumnRenamed("image_sha256", "__named")
    named = checked.withColumn(IMAGE_FILE, image_file_column()).join(in_file, IMAGE_FILE, "left")
    return named.withColumn("image_sha256", F.coalesce(own, F.col("__named")))


def _once(versions: DataFrame) -> DataFrame:
    alike = Window.partitionBy(place_of_rejected(), "item_id", "valid_from").orderBy(*PLACE)
    return versions.withColumn(VERDICT, first_verdict((F.row_number().over(alike) > 1, reasons.DUPLICATE_ITEM)))


def _without_news(versions: DataFrame, earlier: DataFrame | None) -> DataFrame:
    """Marks versions whose content and price are those of the version just before: by valid_from, then by arrival.

    Comparing with the version just before is enough, even where that one is itself unchanged: it then says the same as its own.
    """
    of_item = Window.partitionBy(place_of_rejected(), "item_id").orderBy("valid_from", "ds")
    before = F.lag(F.struct("content_hash", "price")).over(of_item)
    verdict = first_verdict((before.eqNullSafe(F.struct("content_hash", "price")), UNCHANGED_VERSION))
    known = versions if earlier is None else versions.unionByName(_in_their_shape(earlier, versions))
    return known.withColumn(VERDICT, verdict).where(F.col(PLACE[0]).isNotNull())


def _in_their_shape(earlier: DataFrame, versions: DataFrame) -> DataFrame:
    """Earlier versions of the same items; they have no PLACE."""
    nowhere = [F.lit(None).cast(versions.schema[name].dataType).alias(name) for name in (*PLACE, VERDICT)]
    same_items = earlier.join(versions.select("item_id").distinct(), "item_id", "left_semi")
    return same_items.select(*CONTRACTS[names.ITEMS].names, *nowhere)
