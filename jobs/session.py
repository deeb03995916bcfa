"""The Spark session of a job: every setting with its reason."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pyspark
from py4j.java_gateway import JavaClass
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from jobs.class_archive import mapping_options
from jobs.delta_jars import DELTA_PACKAGE, JARS_FOLDER_VARIABLE, delta_jars
from jobs.errors import JobError
from jobs.java import ensure_java
from jobs.lifeline import end_with_parent

# Whatever a caller or a cluster says: a session in another zone would shift every ds.
_FIXED: dict[str, str] = {"spark.sql.session.timeZone": "UTC"}

# Where nobody says otherwise, on a laptop and on a cluster.
_DEFAULTS: dict[str, str] = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # Microseconds, as the contracts say; Spark's default (INT96) comes back as nanoseconds in other readers.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # pandas writes times in nanoseconds, which Spark refuses to read as such; jobs/transforms/casting.py reads the numbers.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    # The encoder is loaded once per Python worker, so workers must live on.
    "spark.python.worker.reuse": "true",
    # A segfault in native code shows the Python stack.
    "spark.sql.execution.pyspark.udf.faulthandler.enabled": "true",
}

# Overrides for frames of a few thousand rows: there, compiling a query and starting a task cost more than the rows. Measured on 2 cores
# on a day of the sample world: 40 s instead of 53 s. Not for real tables, which compiled code reads several times faster.
FEW_ROWS: dict[str, str] = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.databricks.delta.snapshotPartitions": "1",
    # Planning anew after every shuffle: 129 s of CPU time instead of 139 to 143 s for four tests of a day.
    "spark.sql.adaptive.enabled": "false",
    # Else every column expression tells the JVM the line it was written in: a tenth of a day's time (docs/experiments.md).
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    "spark.sql.dataFrameQueryContext.enabled": "false",
}

_LOG4J = Path(__file__).with_name("log4j2.properties")

# For one machine and tables of a few thousand rows, where a job's time is the start of its tasks. Measured on 2 cores.
ONE_MACHINE: dict[str, str] = {
    "spark.master": "local[*]",
    "spark.driver.memory": "2g",
    # 200 tasks a shuffle by default.
    "spark.sql.shuffle.partitions": "4",
    "spark.default.parallelism": "4",
    # Delta reads its log with 50 tasks by default; the tables here have few files.
    "spark.databricks.delta.snapshotPartitions": "2",
    # Of listing folders: 10,000 by default, which made a vacuum of one small table 26 s; with 2 it took 1.5 s.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    # One compiler tier and one collector thread: half the JVM's CPU time in sessions of minutes (56 s -> 29 s for six rounds of write,
    # read and join), no slower on millions of rows. With one tier the JVM reserves 48 MB for compiled code, which a session of minutes
    # fills: it then sweeps and compiles again for ever (in the tests, half of the JVM's time). The quotes are for a path with spaces.
    "spark.driver.extraJavaOptions": (
        f'-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC "-Dlog4j2.configurationFile={_LOG4J}"'
    ),
    # No web page, no address but loopback: a laptop's jobs are nobody else's business.
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # Jobs log their own progress, a line a stage.
    "spark.ui.showConsoleProgress": "false",
}


def build_session(app_name: str, overrides: Mapping[str, str] | None = None) -> SparkSession:
    """The session of this process. Call it from a main only; library code takes the session as an argument.

    Under spark-submit, its ``--conf``, ``--master`` and defaults file win over the settings here, and the local ones are left out.
    Elsewhere the session is local and brings Java and Delta's jars with it. ``overrides`` win over both. A session that is running
    already is returned as it is, set to UTC.

    Raises JobError where the JVM does not start, or where a submitted one lacks Delta.
    """
    running = SparkSession.getActiveSession()
    if running is not None:
        for key, value in _FIXED.items():
            running.conf.set(key, value)
        return running
    # Else workers take the PATH's python3, which has none of the packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if _is_submitted():
        return _submitted_session(app_name, overrides or {})
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["SPARK_HOME"] = str(Path(pyspark.__file__).parent)  # another Spark of the machine is not the one that is locked
    ensure_java()
    with delta_jars() as jars:
        return _started(app_name, {**local_settings(), **jars, **(overrides or {}), **_FIXED})


def local_settings() -> dict[str, str]:
    """What a session on one machine is started with, Delta's jars aside."""
    options = "spark.driver.extraJavaOptions"
    return {**_DEFAULTS, **ONE_MACHINE, options: f"{ONE_MACHINE[options]} {mapping_options()}".rstrip(), **_FIXED}


def _is_submitted() -> bool:
    """Whether spark-submit started this Python: it leaves the port of its JVM, which PySpark then connects to."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _submitted_session(app_name: str, overrides: Mapping[str, str]) -> SparkSession:
    end_with_parent()
    SparkContext._ensure_initialized()  # connects to spark-submit's JVM; before that a SparkConf is empty
    given = dict(SparkConf().getAll())  # --conf, --master and the defaults file
    spark = _started(app_name, {**_DEFAULTS, **given, **overrides, **_FIXED})
    if not isinstance(spark._jvm.io.delta.tables.DeltaTable, JavaClass):  # type: ignore[union-attr]
        hint = f"add --packages {DELTA_PACKAGE}, or --jars with its jars"
        raise JobError("NO_DELTA", "the submitted session has no Delta on its class path", hint=hint)
    return spark


def _started(app_name: str, settings: Mapping[str, str]) -> SparkSession:
    builder = SparkSession.builder.appName(app_name)
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        return builder.getOrCreate()
    except PySparkRuntimeError as error:
        hint = (
            "its own message stands above; where Delta's jars could not be fetched, name a folder that holds them in "
            f"{JARS_FOLDER_VARIABLE}, or a mirror in DEFAULT_ARTIFACT_REPOSITORY"
        )
        raise JobError("NO_SESSION", f"Spark's JVM did not start: {error}", hint=hint) from error
