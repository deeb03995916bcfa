"""A warehouse from before a contract got a column goes on: where the column is optional, its rows have null there."""

from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.errors import JobError
from jobs.places import Places
from jobs.tables import Tables
from schemas import names

CHAMPION: dict[str, Any] = {"version": "v1", "alias": names.CHAMPION, "details": {"evidence": "{}"}}


def made_without(column: str, spark: SparkSession, root: Path) -> Tables:
    """``encoder_versions`` as a version of the project wrote it that had no such column."""
    Tables(spark, Places(str(root / "new"))).append_rows([CHAMPION], names.ENCODER_VERSIONS)
    rows: pa.Table = deltalake.DeltaTable(root / "new" / "warehouse" / names.ENCODER_VERSIONS).to_pyarrow_table()
    deltalake.write_deltalake(root / "old" / "warehouse" / names.ENCODER_VERSIONS, rows.drop_columns([column]))
    return Tables(spark, Places(str(root / "old")))


def test_a_new_optional_column_is_null_in_old_rows(spark: SparkSession, tmp_path: Path) -> None:
    tables = made_without("details", spark, tmp_path)
    assert [(row["version"], row["details"]) for row in tables.rows(names.ENCODER_VERSIONS)] == [("v1", {})]
    tables.append_rows([{**CHAMPION, "version": "v2"}], names.ENCODER_VERSIONS)
    found = {row["version"]: row["details"] for row in tables.read(names.ENCODER_VERSIONS).collect()}
    assert found == {"v1": None, "v2": CHAMPION["details"]}


def test_a_table_that_lacks_a_required_column_is_another_one(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"FOREIGN_TABLE.*column: space_id;"):
        made_without("space_id", spark, tmp_path).rows(names.ENCODER_VERSIONS)
