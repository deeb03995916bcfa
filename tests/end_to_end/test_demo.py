"""The demo on a small world, end to end: what it leaves, that others can read it, and that a second run changes nothing."""

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import deltalake
import numpy as np
import polars as pl
import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from jobs.demo import run_demo, show
from jobs.places import Places
from jobs.sample_world import WorldConfig
from jobs.stage import Context
from schemas import names
from schemas.contracts import CONTRACTS

WORLD = WorldConfig(users=80, items=300, days=2, history_days=20, image_px=32)
TRAINING = Path(__file__).with_name("tiny.toml")
PUBLISHED = (names.ITEM_EMBEDDINGS, names.INTEREST_EMBEDDINGS, names.RANKING_FEATURES)


@dataclass(frozen=True)
class Demo:
    root: Path
    summary: dict[str, Any]
    printed: str

    def table(self, name: str) -> Path:
        return self.root / "warehouse" / name


def context(spark: SparkSession, root: Path) -> Context:
    return Context(spark=spark, places=Places(str(root)), run_at=datetime(2026, 6, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def demo(_spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    root = tmp_path_factory.mktemp("demo")
    work = context(_spark_session, root)
    world, encoder, rows, steps = run_demo(work, WORLD, TRAINING)
    printed = io.StringIO()
    show(Console(file=printed, width=200), work, world, encoder, rows, steps.seconds)
    return Demo(root, json.loads((root / "summary.json").read_text()), printed.getvalue())


def test_every_user_with_an_event_has_a_unit_vector_a_day(demo: Demo) -> None:
    published = pl.read_delta(str(demo.table(names.INTEREST_EMBEDDINGS)))
    histories = pl.read_delta(str(demo.table(names.USER_HISTORIES)))
    assert published.select("user_id", "ds").sort("ds", "user_id").equals(histories.select("user_id", "ds").sort("ds", "user_id"))
    norms = np.linalg.norm(np.stack(published["embedding"].to_list()), axis=1)
    assert np.abs(norms - 1).max() < 1e-3


@pytest.mark.parametrize("table", PUBLISHED)
def test_published_tables_open_elsewhere_with_the_contract_s_columns(demo: Demo, table: str) -> None:
    expected = set(CONTRACTS[table].names)
    assert {field.name for field in deltalake.DeltaTable(demo.table(table)).schema().fields} == expected
    frame = pl.read_delta(str(demo.table(table)))
    assert set(frame.columns) == expected
    assert frame.height == demo.summary["rows"][table] > 0


def test_the_second_day_carries_who_did_not_change(demo: Demo) -> None:
    rows = deltalake.DeltaTable(demo.table(names.RUN_LEDGER)).to_pyarrow_table(filters=[("job", "=", names.INTEREST_EMBEDDINGS_JOB)])
    counts = [dict(row["counts"]) for row in sorted(rows.to_pylist(), key=lambda row: row["at"]) if row["status"] == names.DONE]
    assert counts[0]["carried"] == 0
    assert counts[1]["carried"] > 0
    assert counts[1]["encoded"] + counts[1]["carried"] == counts[1]["users"]


def test_every_impression_comes_out_once_and_only_later_days_have_vectors(demo: Demo) -> None:
    features = pl.read_delta(str(demo.table(names.RANKING_FEATURES)))
    impressions = pl.read_delta(str(demo.table(names.IMPRESSIONS))).filter(pl.col("ds") >= WORLD.first_day)
    keys = ["request_id", "item_id"]
    assert features.select(keys).sort(keys).equals(impressions.select(keys).sort(keys))
    first_day = features.filter(pl.col("ds") == WORLD.first_day)
    assert set(first_day["missing_reason"]) == {names.NOT_PUBLISHED}
    joined = features.filter(pl.col("interest_embedding").is_not_null())
    assert joined.height > 0
    assert (joined["vector_age"] >= names.DEFAULT_PUBLICATION_LAG_HOURS * 3600).all()


def test_what_was_refused_is_in_quarantine_with_its_reason(demo: Demo) -> None:
    rows = deltalake.DeltaTable(demo.table(names.RUN_LEDGER)).to_pyarrow_table(filters=[("job", "=", names.INGEST_EVENTS_JOB)])
    counts = [dict(row["counts"] or ()) for row in rows.to_pylist()]
    assert sum(c.get("read", 0) for c in counts) == sum(c.get("accepted", 0) + c.get("quarantined", 0) for c in counts) > 0
    assert sum(demo.summary["quarantined"][names.EVENTS].values()) == sum(c.get("quarantined", 0) for c in counts) > 0


def test_the_summary_shows_it(demo: Demo) -> None:
    assert {gate["verdict"] for gate in demo.summary["gates"]} == {"passed"}
    for words in ("interest_embeddings", "carried", "nearest items", "HR@50", "KARMA encoder", "oracle"):
        assert words in demo.printed
    assert (demo.root / "report" / "day.png").stat().st_size > 10_000
    assert (demo.root / "data_docs" / "index.html").is_file()


def test_a_second_run_changes_no_table_but_the_ledger(demo: Demo, spark: SparkSession) -> None:
    tables = [table for table in CONTRACTS if table != names.RUN_LEDGER and deltalake.DeltaTable.is_deltatable(str(demo.table(table)))]
    before = {table: deltalake.DeltaTable(demo.table(table)).version() for table in tables}
    run_demo(context(spark, demo.root), WORLD, TRAINING)
    assert {table: deltalake.DeltaTable(demo.table(table)).version() for table in tables} == before
