"""From what a source wrote to the contract's types."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.mapping import ColumnRule
from jobs.transforms.casting import cast

INSTANT = datetime(2026, 3, 10, 12, 30, 15, tzinfo=UTC)
SECONDS = 1_773_145_815  # INSTANT
MISSING, BAD = "missing", "bad"


def _read(spark: SparkSession, values: list[Any], type: str, target: str, rule: ColumnRule) -> list[Any]:
    """Each value as read: the value, or MISSING, or BAD. Instants as microseconds after the epoch."""
    frame = spark.createDataFrame([(number, value) for number, value in enumerate(values)], f"n int, v {type}")
    read = cast(F.col("v"), frame.schema["v"].dataType, target, rule)
    assert read is not None
    value = F.unix_micros(read.value) if target == "timestamp" else read.value
    rows = frame.select("n", value.alias("value"), read.present.alias("present"), read.bad.alias("bad")).sort("n").collect()
    return [BAD if row["bad"] else row["value"] if row["present"] else MISSING for row in rows]


MICROS = SECONDS * 1_000_000
Y2K, MINUTE = 946_684_800_000_000, 60_000_000  # 2000-01-01 UTC
AUTO, ISO = ColumnRule(), ColumnRule(time="iso")
PARIS = ColumnRule(zone="Europe/Paris")


@pytest.mark.parametrize(
    ("type", "rule", "values", "expected"),
    [
        ("string", AUTO, ["2026-03-10T12:30:15Z", "2026-03-10 12:30:15", "2026-03-10T14:30:15+02:00"], [MICROS] * 3),
        ("string", AUTO, [" 2026-03-10T12:30:15.000001Z"], [MICROS + 1]),
        ("string", AUTO, ["2026-03-10", "", None], [MICROS - 45_015_000_000, MISSING, MISSING]),
        ("string", AUTO, ["2026", "20260310", "20260310123015", "2026-13-01", "soon", "10/03/2026", "9" * 40], [BAD] * 7),
        ("string", AUTO, [f"{SECONDS}{zeros}" for zeros in ("", "000", "000000", "000000000")], [MICROS] * 4),
        ("string", AUTO, [f"{SECONDS}.5"], [MICROS + 500_000]),
        ("string", ISO, [f"{SECONDS}", "2026-03-10T12:30:15Z"], [BAD, MICROS]),
        ("string", PARIS, ["2026-03-10T13:30:15", "2026-03-10T12:30:15Z", "2026-07-01"], [MICROS, MICROS, 1_782_856_800_000_000]),
        ("string", ColumnRule(pattern="d/M/yyyy H:mm:ss", zone="Europe/Paris"), ["10/3/2026 13:30:15", "2026-03-10"], [MICROS, BAD]),
        ("bigint", AUTO, [SECONDS, SECONDS * 1000, MICROS, MICROS * 1000, 99_999_999, -1, 2**63 - 1], [MICROS] * 4 + [BAD] * 3),
        ("bigint", ColumnRule(time="epoch_seconds"), [SECONDS, 0, -1, SECONDS * 1000], [MICROS, 0, -1_000_000, BAD]),
        ("bigint", ColumnRule(time="epoch_milliseconds"), [SECONDS * 1000 + 7], [MICROS + 7_000]),
        ("bigint", ColumnRule(time="order"), [0, 1, 1_440, -1], [Y2K, Y2K + MINUTE, Y2K + 1_440 * MINUTE, Y2K - MINUTE]),
        ("string", ColumnRule(time="order", step_seconds=3_600), ["2", "first"], [Y2K + 120 * MINUTE, BAD]),
        ("double", AUTO, [SECONDS + 0.25, float("nan"), float("inf")], [MICROS + 250_000, MISSING, BAD]),
        ("decimal(20,6)", AUTO, [Decimal(f"{SECONDS}.000001")], [MICROS + 1]),
        ("timestamp", PARIS, [INSTANT], [MICROS]),
        ("timestamp_ntz", PARIS, [INSTANT.replace(hour=13, tzinfo=None)], [MICROS]),
        ("date", AUTO, [date(2026, 3, 10), date(1815, 6, 18)], [MICROS - 45_015_000_000, BAD]),
    ],
)  # fmt: skip
def test_instants(spark: SparkSession, type: str, rule: ColumnRule, values: list[Any], expected: list[Any]) -> None:
    assert _read(spark, values, type, "timestamp", rule) == expected


@pytest.mark.parametrize(
    ("type", "target", "values", "expected"),
    [
        ("double", "string", [42.0, 4.5, float("nan"), None, -3.0], ["42", "4.5", MISSING, MISSING, "-3"]),
        ("bigint", "string", [42, None], ["42", MISSING]),
        ("string", "string", [" a ", "", "  "], [" a ", MISSING, MISSING]),
        ("string", "double", ["4.5", " 4 ", "1e3", "four", "NaN", "Infinity", ""], [4.5, 4.0, 1000.0, BAD, BAD, BAD, MISSING]),
        ("int", "double", [4], [4.0]),
        ("string", "int", ["3", "3.0", "3.5", "99999999999", "x"], [3, 3, BAD, BAD, BAD]),
        ("double", "int", [3.0, 3.5, float("nan")], [3, BAD, MISSING]),
        ("string", "boolean", ["true", "T", "1", "no", "0.0", "2", "maybe"], [True, True, True, False, False, BAD, BAD]),
        ("int", "boolean", [1, 0, 2], [True, False, BAD]),
        ("boolean", "boolean", [True, None], [True, MISSING]),
        ("string", "binary", ["YWI=", "not base64!"], [bytearray(b"ab"), BAD]),
    ],
)
def test_values(spark: SparkSession, type: str, target: str, values: list[Any], expected: list[Any]) -> None:
    assert _read(spark, values, type, target, AUTO) == expected


def test_renamed_values(spark: SparkSession) -> None:
    rule = ColumnRule(values={"view": "click", "buy": "purchase"})
    assert _read(spark, ["view", "buy", "cart"], "string", "string", rule) == ["click", "purchase", "cart"]


@pytest.mark.parametrize(
    ("type", "target"),
    [("array<string>", "string"), ("timestamp", "string"), ("boolean", "timestamp"), ("binary", "double"), ("bigint", "binary")],
)
def test_types_that_cannot_be_meant(spark: SparkSession, type: str, target: str) -> None:
    frame = spark.createDataFrame([], f"v {type}")
    assert cast(F.col("v"), frame.schema["v"].dataType, target, AUTO) is None
