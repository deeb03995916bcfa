"""A digest says which rows a frame holds, whichever way it was summed."""

import random

from pyspark.sql import SparkSession

from jobs.digests import digest_groups, digest_of_groups, frame_digest

COLUMNS = ["key", "reason", "value"]
ROWS = [(f"k{number}", (None, "late", "missing")[number % 3], None if number % 5 == 0 else number / 7) for number in range(40)]


def test_groups_together_have_the_digest_of_all_rows(spark: SparkSession) -> None:
    frame = spark.createDataFrame([*ROWS, ROWS[1], ROWS[1]], "key string, reason string, value double")
    groups = digest_groups(frame, COLUMNS, "reason")
    assert {reason: group["n"] for reason, group in groups.items()} == {None: 14, "late": 15, "missing": 13}
    assert digest_of_groups(groups.values()) == frame_digest(frame, COLUMNS)


def test_order_does_not_matter_and_every_value_does(spark: SparkSession) -> None:
    def digest(rows: list[tuple[str, str | None, float | None]]) -> tuple[int, str]:
        return frame_digest(spark.createDataFrame(rows, "key string, reason string, value double"), COLUMNS)

    shuffled = random.Random(3).sample(ROWS, len(ROWS))
    assert digest(shuffled) == digest(ROWS)
    for column, value in ((0, "other"), (1, "other"), (2, -1.0)):
        changed = [(*row[:column], value, *row[column + 1 :]) if place == 7 else row for place, row in enumerate(ROWS)]
        assert digest(changed) != digest(ROWS)
    assert digest([*ROWS, ROWS[0]]) != digest(ROWS)


def test_no_rows_have_one_digest(spark: SparkSession) -> None:
    empty = spark.createDataFrame([], "key string, reason string, value double")
    assert digest_of_groups(digest_groups(empty, COLUMNS, "reason").values()) == frame_digest(empty, COLUMNS)
