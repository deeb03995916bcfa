"""A day without rows where there were none: Delta commits nothing, and the version is still that of this table."""

from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.places import Places
from jobs.tables import Tables
from schemas import names
from schemas.contracts import CONTRACTS


def test_replacing_nothing_by_nothing_gives_the_table_s_own_version(spark: SparkSession, tmp_path: Path) -> None:
    tables = Tables(spark, Places(str(tmp_path)))
    empty = spark.createDataFrame([], CONTRACTS[names.USER_HISTORIES].ddl)
    first = tables.replace(empty, names.USER_HISTORIES, {"ds": date(2026, 1, 1)})
    for user in range(3):  # another table's commits are further on
        tables.append_rows([{"version": f"v{user}"}], names.ENCODER_VERSIONS)
    assert tables.replace(empty, names.USER_HISTORIES, {"ds": date(2026, 1, 2)}) == first
    assert tables.replace_where(empty, names.USER_HISTORIES, "ds = DATE'2026-01-02'") == first
    assert tables.read(names.USER_HISTORIES, version=first).isEmpty()
