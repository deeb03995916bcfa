"""Gathers what the ladder reads: the truth from ``world/``, histories and counts from the bulk load, through Spark."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.sample_world.ladder import Ints, LadderInputs, read_pictures
from jobs.sample_world.styles import CATEGORY_INDEX, STYLES
from jobs.sample_world.titles import read_styles
from jobs.sample_world.writer import read_bulk_events

MAX_TARGETS = 5_000
MAX_SCORES = 1_000_000_000
_STYLE_INDEX = {style.name: index for index, style in enumerate(STYLES)}


def gather(spark: SparkSession, landing: Path, world: Path) -> LadderInputs:
    """The inputs for all targets, or for every n-th where they are more than the ladder can score in a minute or two."""
    items = pq.read_table(world / "truth" / "items.parquet")
    truth = pq.read_table(world / "truth" / "targets.parquet")
    targets = pq.read_table(world / "targets.parquet")
    stride = -(-len(targets) // min(MAX_TARGETS, MAX_SCORES // len(items))) or 1
    rows = np.arange(0, len(targets), stride)
    users = targets.column("user_id").take(rows).to_pylist()
    bulk = read_bulk_events(spark, landing).where("item_id IS NOT NULL")
    histories = _histories(spark, bulk, users)
    style = np.array([_STYLE_INDEX[name] for name in items.column("style").to_pylist()])
    palettes = [None if values is None else np.array(values, np.float32) for values in items.column("palette").to_pylist()]
    return LadderInputs(
        style=style,
        category=np.array([CATEGORY_INDEX[name] for name in items.column("category").to_pylist()]),
        popularity=items.column("popularity").to_numpy(),
        counts=_counts(bulk, len(items)),
        valid_from_us=items.column("valid_from").to_numpy().astype(np.int64),
        titles=read_styles(items.column("title").to_pylist()),
        pictures=read_pictures(palettes, style, len(STYLES)),
        target=np.array([_index(name) for name in targets.column("item_id").take(rows).to_pylist()], dtype=np.int64),
        target_time_us=targets.column("event_time").take(rows).to_numpy().astype(np.int64),
        mixture=np.array(truth.column("mixture").take(rows).to_pylist()),
        histories=[histories[user] for user in users],
    )


def _index(item_id: str) -> int:
    return int(item_id[1:])


def _counts(bulk: DataFrame, items: int) -> Ints:
    counts = np.zeros(items, dtype=np.int64)
    for row in bulk.groupBy("item_id").count().collect():
        counts[_index(row["item_id"])] = row["count"]
    return counts


def _histories(spark: SparkSession, bulk: DataFrame, users: list[str]) -> dict[str, Ints]:
    wanted = spark.createDataFrame([(user,) for user in users], "user_id string")
    newest = F.sort_array(F.collect_list(F.struct("event_time", "event_id", "item_id"))).getField("item_id")
    histories = bulk.join(F.broadcast(wanted), "user_id", "left_semi").groupBy("user_id").agg(newest.alias("item_ids"))
    return {row["user_id"]: np.array([_index(item) for item in row["item_ids"]], dtype=np.int64) for row in histories.collect()}
