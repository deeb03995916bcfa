"""A day that a bulk load brought needs no landing partition of its own; any other day does."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.bulk_load import bulk_load
from jobs.ingest import IngestOptions, ingest_stage
from jobs.places import Places
from jobs.stage import Context, run_stage
from schemas import names

LINES = (
    '{"user_id": "u", "item_id": "a", "event_type": "click", "event_time": "2026-01-01T10:00:00Z"}\n'
    '{"user_id": "u", "item_id": "b", "event_type": "click", "event_time": "2026-01-03T10:00:00Z"}\n'
)


def _land(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_text(text)
    (folder / names.SUCCESS_MARKER).touch()


def test_daily_ingest_leaves_the_days_of_a_bulk(spark: SparkSession, tmp_path: Path) -> None:
    _land(tmp_path / "landing/events/bulk", LINES)
    context = Context(spark=spark, places=Places(str(tmp_path)), run_at=datetime(2026, 3, 1, tzinfo=UTC))
    loaded = {row.ds: row for row in bulk_load(context, names.EVENTS, IngestOptions(bulk=True))}
    assert list(loaded) == [date(2026, 1, day) for day in (1, 2, 3)]

    stage = ingest_stage(names.EVENTS)
    again = run_stage(context, stage, date(2026, 1, 3))
    assert (again.status, again.output_digest) == (names.UNCHANGED, loaded[date(2026, 1, 3)].output_digest)
    assert run_stage(context, stage, date(2026, 1, 4)).status == names.MISSING_INPUT


def test_a_partition_replaces_a_day_of_a_bulk_only_on_recompute_and_the_next_load_mends_it(spark: SparkSession, tmp_path: Path) -> None:
    _land(tmp_path / "landing/events/bulk", LINES)
    context = Context(spark=spark, places=Places(str(tmp_path)), run_at=datetime(2026, 3, 1, tzinfo=UTC))
    bulk_load(context, names.EVENTS, IngestOptions(bulk=True))
    stage, day = ingest_stage(names.EVENTS), date(2026, 1, 3)

    def held() -> list[tuple[int, str]]:
        return sorted((row["ds"].day, row["item_id"]) for row in context.tables.read(names.EVENTS).collect())

    _land(tmp_path / "landing/events/ds=2026-01-03", LINES.splitlines()[1].replace('"b"', '"c"'))
    refused = run_stage(context, stage, day)
    assert (refused.status, "BULK_DAY" in str(refused.reason)) == (names.FAILED, True)
    assert held() == [(1, "a"), (3, "b")]
    assert run_stage(replace(context, recompute=True), stage, day).status == names.DONE
    assert held() == [(1, "a"), (3, "c")]
    assert {row.status for row in bulk_load(context, names.EVENTS, IngestOptions(bulk=True))} == {names.DONE}
    assert held() == [(1, "a"), (3, "b")]
