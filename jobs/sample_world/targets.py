"""What is to be foretold: every user's first item event on the demo days; and the truth about it, for the oracle."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from jobs.sample_world.catalogue import Catalogue
from jobs.sample_world.config import WorldConfig
from jobs.sample_world.images import read_palette
from jobs.sample_world.styles import CATEGORIES, STYLES
from jobs.sample_world.users import tastes_of
from jobs.sample_world.writer import read_bulk_events, read_daily_events, read_items
from schemas import names


def write_targets(spark: SparkSession, catalogue: Catalogue, landing: Path, world: Path) -> None:
    """Write ``world/targets.parquet`` and ``world/truth/`` from the rows of ``landing``."""
    (world / "truth").mkdir(parents=True)
    targets = find_targets(spark, catalogue.config, landing).toArrow()
    pq.write_table(targets, world / "targets.parquet")
    pq.write_table(_mixtures(spark, catalogue.config, targets).toArrow(), world / "truth" / "targets.parquet")
    palettes = _palettes(spark, landing).toArrow()
    palette_of = dict(zip(palettes.column("item_id").to_pylist(), palettes.column("palette").to_pylist(), strict=True))
    pq.write_table(_item_truth(catalogue, palette_of), world / "truth" / "items.parquet")


def find_targets(spark: SparkSession, config: WorldConfig, landing: Path) -> DataFrame:
    """user_id, item_id, event_time: the first item event, by (event_time, event_id), whose time lies on the demo days.

    Of users with an item event in the bulk load; rows that are broken, dated after their arrival, or name an item that never lands
    are no targets. Ordered by user_id.
    """
    items = read_items(spark, landing, "item_id string").distinct()
    arrived = read_daily_events(spark, landing).where(
        F.col("user_id").isNotNull()
        & F.col("event_type").isin(*names.EVENT_TYPES)
        & (F.to_date("event_time") <= F.col("ds"))
        & (F.col("event_time") >= F.lit(config.trained_until))
    )
    earlier = read_bulk_events(spark, landing).where("item_id IS NOT NULL").select("user_id").distinct()
    first = F.row_number().over(Window.partitionBy("user_id").orderBy("event_time", "event_id"))
    known = arrived.join(items, "item_id", "left_semi").join(earlier, "user_id", "left_semi")
    return known.withColumn("nth", first).where("nth = 1").select("user_id", "item_id", "event_time").orderBy("user_id")


def _mixtures(spark: SparkSession, config: WorldConfig, targets: pa.Table) -> DataFrame:
    """user_id, event_time, mixture: the user's true shares of the styles at the target's time."""

    def tell(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            users = (int(name[1:]) for name in batch.column("user_id").to_pylist())
            times = batch.column("event_time").cast(pa.int64()).to_pylist()
            mixtures = [tastes_of(config, user).at(time) for user, time in zip(users, times, strict=True)]
            columns = [batch.column("user_id"), batch.column("event_time"), pa.array(mixtures, pa.list_(pa.float64()))]
            yield pa.RecordBatch.from_arrays(columns, names=["user_id", "event_time", "mixture"])

    frame = spark.createDataFrame(targets).select("user_id", "event_time")
    return frame.mapInArrow(tell, "user_id string, event_time timestamp, mixture array<double>").orderBy("user_id")


def _palettes(spark: SparkSession, landing: Path) -> DataFrame:
    """item_id, palette of what can be read of its picture, a row a version; all versions of an item have the same picture."""

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            palettes = [read_palette(data) for data in batch.column("image").to_pylist()]
            columns = [batch.column("item_id"), pa.array(palettes, pa.list_(pa.float32()))]
            yield pa.RecordBatch.from_arrays(columns, names=["item_id", "palette"])

    pictures = read_items(spark, landing, "item_id string, image binary")
    return pictures.mapInArrow(look, "item_id string, palette array<float>")


def _item_truth(catalogue: Catalogue, palettes: dict[str, list[float] | None]) -> pa.Table:
    items = catalogue.items
    return pa.table(
        {
            "item_id": [item.item_id for item in items],
            "style": [STYLES[item.style].name for item in items],
            "category": [CATEGORIES[item.category].name for item in items],
            "popularity": [item.popularity for item in items],
            "valid_from": pa.array([item.valid_from_us for item in items], pa.timestamp("us", tz="UTC")),
            "title": pa.array([item.title for item in items], pa.string()),
            "palette": pa.array([palettes[item.item_id] for item in items], pa.list_(pa.float32())),
        }
    )
