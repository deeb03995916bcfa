"""The set-up's last step: a first session fetches Delta's jars, shows that Spark works, and leaves the archive of its classes."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from jobs.class_archive import archive_folder, keep, recording_options
from jobs.java import ensure_java, program_of
from jobs.session import FEW_ROWS, ONE_MACHINE, build_session

_PATIENCE_SECONDS = 120
_OPTIONS = "spark.driver.extraJavaOptions"
_INTERPRETED = {name: value for name, value in FEW_ROWS.items() if ".codegen." in name}


def usual_work(spark: SparkSession, folder: Path) -> None:
    """What most stages do: files read, a Delta partition written, replaced and read back, a join, a window, a sum, a Python worker."""
    rows = spark.createDataFrame(
        [(user, f"i{user % 3}", [user / 2, 1.0]) for user in range(9)], "user bigint, item string, vector array<double>"
    )
    for format_ in ("json", "parquet"):
        rows.write.format(format_).save(str(folder / format_))
    landed = spark.read.json(str(folder / "json")).join(spark.read.parquet(str(folder / "parquet")), "user", "left_anti")
    rows = rows.unionByName(landed.select("user", "item", "vector")).withColumn("day", F.lit("2026-01-01").cast("date"))
    table = str(folder / "table")
    rows.write.format("delta").partitionBy("day").save(table)
    rows.limit(3).write.format("delta").mode("append").save(table)
    _newest(spark.read.format("delta").load(table)).write.format("delta").mode("overwrite").option(
        "replaceWhere", "day = '2026-01-01'"
    ).save(table)
    lengths = (
        spark.read.format("delta").load(table).mapInArrow(lambda batches: (batch.select(["user"]) for batch in batches), "user bigint")
    )
    lengths.agg(F.count("*"), F.sum("user")).collect()


def _newest(rows: DataFrame) -> DataFrame:
    place = F.row_number().over(Window.partitionBy("user").orderBy(F.col("item").desc()))
    counted = rows.groupBy("item").agg(F.count("*").alias("rows"), F.collect_list("user").alias("users"))
    ranked = rows.withColumn("place", place).where("place = 1").join(F.broadcast(counted), "item").select(*rows.columns)
    return ranked.withColumn("vector", F.transform("vector", lambda x: x * 2)).orderBy("user")


def ready_spark() -> None:
    """Run the session, and say what Java it ran on. Errors are those of ``jobs.session.build_session``."""
    said = ensure_java()
    folder = archive_folder()
    java = program_of(os.environ)
    options = recording_options(java, folder)
    spark = build_session("set-up", {_OPTIONS: f"{ONE_MACHINE[_OPTIONS]} {options}"})
    with tempfile.TemporaryDirectory(prefix="karma-set-up-") as scratch:
        usual_work(spark, Path(scratch) / "compiled")
        for name, value in _INTERPRETED.items():
            spark.conf.set(name, value)
        usual_work(spark, Path(scratch) / "interpreted")
    class_path = spark._jvm.System.getProperty("java.class.path")  # type: ignore[union-attr]
    spark.stop()
    _end_jvm()
    made = bool(options) and keep(java, folder, class_path)
    sys.stdout.write(f"{said}\nclass archive: {'made' if made else 'none: this Java makes none that it takes for these jars'}\n")


def _end_jvm() -> None:
    """It ends when its input does, and writes the archive then."""
    jvm = SparkContext._gateway.proc  # type: ignore[union-attr]
    jvm.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        jvm.wait(_PATIENCE_SECONDS)


if __name__ == "__main__":
    ready_spark()
