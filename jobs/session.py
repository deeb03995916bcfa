"""The Spark session of a job: every setting with its reason."""

import os
import sys
from collections.abc import Mapping

from pyspark.sql import SparkSession

DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"

_SETTINGS: dict[str, str] = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # Times are UTC everywhere; a session in another zone would shift every ds.
    "spark.sql.session.timeZone": "UTC",
    # Two of Spark's own jars that a half-filled local Maven cache breaks; Spark ships both.
    "spark.jars.excludes": "org.slf4j:slf4j-api,com.google.code.findbugs:jsr305",
    # The encoder is loaded once per Python worker, so workers must live on.
    "spark.python.worker.reuse": "true",
    # A segfault in native code shows the Python stack.
    "spark.sql.execution.pyspark.udf.faulthandler.enabled": "true",
    # Delta reads its log with 50 tasks by default; the tables here have few files.
    "spark.databricks.delta.snapshotPartitions": "2",
}

_LOCAL_SETTINGS: dict[str, str] = {
    "spark.master": "local[2]",
    "spark.driver.memory": "2g",
    "spark.sql.shuffle.partitions": "4",
    "spark.default.parallelism": "4",
    # No web page, no address but loopback: a laptop's jobs are nobody else's business.
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.showConsoleProgress": "false",
}


def build_session(app_name: str, overrides: Mapping[str, str] | None = None) -> SparkSession:
    """The session of this process, local unless spark-submit or ``overrides`` name another master.

    Call it from a main only; library code takes the session as an argument.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.appName(app_name)
    submitted = "SPARK_ENV_LOADED" in os.environ  # spark-submit sets it; its --conf then wins
    settings = {**_SETTINGS, **({} if submitted else {"spark.jars.packages": DELTA_PACKAGE, **_LOCAL_SETTINGS}), **(overrides or {})}
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
