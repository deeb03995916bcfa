"""The cut of a held-out target is read as the events' times are."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from jobs.errors import UsageError
from jobs.mapping import ColumnRule, Mapping
from jobs.own_data_road.targets import read_targets
from jobs.places import Places
from jobs.stage import Context

CUT = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)


def read(spark: SparkSession, folder: Path, cut: object, mapping: Mapping = Mapping()) -> list[tuple[str, str, datetime]]:  # noqa: B008
    file = folder / "targets.parquet"
    pd.DataFrame({"user_id": [7], "item_id": ["i"], "cut_time": [cut], "more": [1]}).to_parquet(file)
    context = Context(spark=spark, places=Places(str(folder)), run_at=CUT)
    return [tuple(row) for row in read_targets(context, file, mapping).collect()]


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_numbers_are_told_apart_by_their_size(spark: SparkSession, tmp_path: Path, unit: int) -> None:
    assert read(spark, tmp_path, int(CUT.timestamp()) * unit) == [("7", "i", CUT.replace(tzinfo=None))]


def test_the_zone_of_the_events_is_that_of_the_cut(spark: SparkSession, tmp_path: Path) -> None:
    there = Mapping.model_validate({"events": {"event_time": ColumnRule(column="when", zone="Asia/Tokyo")}})
    assert read(spark, tmp_path, "2026-03-10 21:30:00", there) == [("7", "i", CUT.replace(tzinfo=None))]


def test_a_cut_that_is_no_time_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="TARGETS_ROWS"):
        read(spark, tmp_path, "soon")
    with pytest.raises(UsageError, match="TARGETS_COLUMNS"):
        read(spark, tmp_path, [1, 2])
