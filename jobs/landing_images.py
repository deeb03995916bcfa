"""Pictures of the landing zone: bytes that land with an item, or files below ``<landing>/images/`` that image_ref names."""

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs import hadoop_files
from jobs.landing import BULK, find_partition, relative_to
from jobs.mapping import IMAGE, Mapping
from jobs.mended import read_landed
from jobs.stage import Context
from jobs.transforms.arriving_items import IMAGE_FILE, image_file_column
from jobs.transforms.contract_check import check
from schemas import names

_IMAGES = "images"
_FILES_BY_NAME = 1_000
"""Up to so many files are opened by name; beyond it the whole folder is read and joined."""

LANDING, MAPPING = "landing", "mapping"
"""Keys of the ledger's details: which partition was read, and by which mapping (JSON)."""


def has_image_files(context: Context) -> bool:
    """Whether the landing zone has a folder of pictures at all."""
    return hadoop_files.exists(context.spark, _folder(context))


def _folder(context: Context) -> str:
    return f"{context.places.landing}/{_IMAGES}"


def named_image_files(context: Context, checked: DataFrame) -> DataFrame | None:
    """IMAGE_FILE and IMAGE (bytes) of the files that the items of ``checked`` name, lazily; None where no such file exists."""
    folder = _folder(context)
    if not has_image_files(context):
        return None
    named = checked.select(image_file_column().alias(IMAGE_FILE)).where(F.col(IMAGE_FILE).isNotNull()).distinct()
    some = [row[IMAGE_FILE] for row in named.limit(_FILES_BY_NAME + 1).collect()]
    paths = [folder]
    if len(some) <= _FILES_BY_NAME:
        found = {name: hadoop_files.size_below(context.spark, folder, name) for name in some}
        sizes = {name: size for name, size in found.items() if size is not None}
        paths = [f"{folder}/{name}" for name in sizes]
    else:
        sizes = {file.name: file.size for file in hadoop_files.list_files(context.spark, folder)}
    if not paths:
        return None
    below = hadoop_files.qualified(context.spark, folder).split(":", 1)[-1]
    files = context.spark.read.format("binaryFile").option("recursiveFileLookup", True).load([hadoop_files.literal(path) for path in paths])
    contents = files.select(relative_to(below, "path").alias(IMAGE_FILE), F.col("content").alias(IMAGE))
    # Spark passes over files without bytes; they are empty pictures, not missing ones.
    empty = [(name, b"") for name, size in sizes.items() if size == 0]
    contents = contents.unionByName(context.spark.createDataFrame(empty, contents.schema)) if empty else contents
    return contents.join(named, IMAGE_FILE, "left_semi")


def digests_of(files: DataFrame | None) -> DataFrame | None:
    """IMAGE_FILE and image_sha256 of image files."""
    return None if files is None else files.select(IMAGE_FILE, F.sha2(IMAGE, 256).alias("image_sha256"))


def read_images(context: Context, ds: date) -> DataFrame:
    """image_sha256 and image (bytes) of the pictures that landed with the items of ``ds``, each picture once.

    Reads again what ingest-items read for ``ds``, by the ledger: a landing partition, a bulk load or a named source.
    Raises InputMissingError where that is gone.
    """
    state = context.ledger.standing(names.INGEST_ITEMS_JOB, ds)
    details = state.details if state else {}
    label = details.get(LANDING, f"ds={ds}")
    mapping = Mapping.model_validate_json(details.get(MAPPING, "{}"))
    source = None if label in (BULK, f"ds={ds}") else label
    partition = find_partition(context.spark, context.places, names.ITEMS, None if label == BULK else ds, source)
    checked = check(read_landed(context, partition, mapping), names.ITEMS, mapping.rules(names.ITEMS))
    images = checked.select(IMAGE).where(F.col(IMAGE).isNotNull())
    files = named_image_files(context, checked)
    if files is not None:
        images = images.unionByName(files.select(IMAGE))
    return images.select(F.sha2(IMAGE, 256).alias("image_sha256"), IMAGE).dropDuplicates(["image_sha256"])
