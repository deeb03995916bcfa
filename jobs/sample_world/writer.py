"""The landing zone, written by Spark: users in parallel, each from its own random streams, so that partitioning changes no row."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from jobs.sample_world.behaviour import Event, Shelves, events_of
from jobs.sample_world.catalogue import BROKEN_IMAGE, NO_IMAGE, Catalogue, ItemVersion
from jobs.sample_world.config import BULK, WorldConfig
from jobs.sample_world.images import render_image
from jobs.sample_world.impressions import Impression, impressions_of
from schemas import names

TABLES = (names.ITEMS, names.EVENTS, names.IMPRESSIONS)
_USERS_PER_TASK = 5_000
_ROWS_PER_BATCH = 500
_TRUNCATED_BYTES = 200

_INSTANT = pa.timestamp("us", tz="UTC")
_TYPES: dict[str, pa.DataType] = {
    "event_time": _INSTANT,
    "impression_time": _INSTANT,
    "valid_from": _INSTANT,
    "value": pa.float64(),
    "price": pa.float64(),
    "position": pa.int32(),
    "clicked": pa.bool_(),
    "image": pa.binary(),
}
_ITEM_FIELDS = ("landing", "item_id", "valid_from", "title", "category", "price", "image_ref", "image")

UserRows = Callable[[WorldConfig, Shelves, int], Sequence[tuple[Any, ...]]]


def write_landing(spark: SparkSession, catalogue: Catalogue, landing: Path) -> None:
    """Write ``<landing>/<table>/bulk`` and ``<landing>/<table>/ds=.../`` with their success markers."""
    config = catalogue.config
    shelves = spark.sparkContext.broadcast(Shelves.of(catalogue))
    _write(_user_rows(spark, config, shelves, events_of, Event._fields), config, landing / names.EVENTS)
    _write(_user_rows(spark, config, shelves, impressions_of, Impression._fields), config, landing / names.IMPRESSIONS)
    _write(_item_rows(spark, catalogue), config, landing / names.ITEMS)
    shelves.unpersist()


def read_bulk_events(spark: SparkSession, landing: Path) -> DataFrame:
    """The events before the first demo day."""
    return spark.read.schema(_ddl(_schema(Event._fields[1:]))).parquet(_uri(landing / names.EVENTS / BULK))


def read_daily_events(spark: SparkSession, landing: Path) -> DataFrame:
    """The events of the demo days, with their arrival day ``ds``."""
    reader = spark.read.schema(f"{_ddl(_schema(Event._fields[1:]))}, ds date").option("basePath", _uri(landing / names.EVENTS))
    return reader.parquet(*map(_uri, sorted((landing / names.EVENTS).glob("ds=*"))))


def read_items(spark: SparkSession, landing: Path, columns: str) -> DataFrame:
    """Some columns (DDL) of all item versions."""
    folders = sorted(folder for folder in (landing / names.ITEMS).iterdir() if folder.is_dir())
    return spark.read.schema(columns).parquet(*map(_uri, folders))


def _uri(path: Path) -> str:
    """Not Path.as_uri: Hadoop wants its paths unescaped."""
    return f"file://{path.absolute()}"


def _schema(fields: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, _TYPES.get(name, pa.string())) for name in fields])


def _ddl(schema: pa.Schema) -> str:
    spelled = {_INSTANT: "timestamp", pa.float64(): "double", pa.int32(): "int", pa.bool_(): "boolean", pa.binary(): "binary"}
    return ", ".join(f"{field.name} {spelled.get(field.type, 'string')}" for field in schema)


def _user_rows(spark: SparkSession, config: WorldConfig, shelves: Any, rows_of: UserRows, fields: Sequence[str]) -> DataFrame:
    """The rows of all users. ``shelves`` is a broadcast of Shelves: every Python worker builds its tables once."""
    schema = _schema(fields)

    def generate(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        indices = (index for batch in batches for index in batch.column(0).to_pylist())
        while some := list(islice(indices, _ROWS_PER_BATCH)):
            yield _batch([row for index in some for row in rows_of(config, shelves.value, index)], schema)

    tasks = max(spark.sparkContext.defaultParallelism, math.ceil(config.users / _USERS_PER_TASK))
    return spark.range(0, config.users, 1, tasks).mapInArrow(generate, _ddl(schema))


def _item_rows(spark: SparkSession, catalogue: Catalogue) -> DataFrame:
    config, schema = catalogue.config, _schema(_ITEM_FIELDS)
    versions = catalogue.versions()

    def render(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = (ItemVersion(**row) for batch in batches for row in batch.to_pylist())
        while some := list(islice(rows, _ROWS_PER_BATCH)):
            yield _batch([_landed(config, version) for version in some], schema)

    columns = zip(ItemVersion._fields, zip(*versions, strict=True), strict=True)
    table = pa.table({name: pa.array(list(values)) for name, values in columns})
    return spark.createDataFrame(table).mapInArrow(render, _ddl(schema))


def _landed(config: WorldConfig, version: ItemVersion) -> tuple[Any, ...]:
    """An item version with its picture: the same for every version of the item, null where it has none."""
    image: bytes | None = None
    if version.image != NO_IMAGE:
        image = render_image(version.style, version.category, config.image_px, config.rng("image", version.number))
    if image and version.image == BROKEN_IMAGE:
        image = image[:_TRUNCATED_BYTES]
    image_ref = f"images/{version.item_id}.jpg" if image else None
    return (
        version.landing, version.item_id, version.valid_from_us, version.title, version.category_name, version.price, image_ref, image
    )  # fmt: skip


def _batch(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _write(rows: DataFrame, config: WorldConfig, folder: Path) -> None:
    """One folder a landing partition, and its marker; a day without rows has the marker alone."""
    rows.write.partitionBy("landing").parquet(_uri(folder))
    for partition in (BULK, *(day.isoformat() for day in config.demo_days)):
        written, final = folder / f"landing={partition}", folder / (partition if partition == BULK else f"ds={partition}")
        if written.exists():
            written.rename(final)
        final.mkdir(exist_ok=True)
        (final / names.SUCCESS_MARKER).touch()
