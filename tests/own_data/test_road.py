"""The whole road on a tiny set in three formats: what it leaves, and that a second time it changes nothing."""

import json
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.mapping import Mapping
from jobs.own_data import summarise
from jobs.own_data_road.derived_impressions import PREFIX
from jobs.own_data_road.road import Plan, travel
from jobs.places import Places
from jobs.report.people import PEOPLE
from jobs.report.write import write_report
from jobs.stage import Context
from karma.artefact import read_manifest
from schemas import names
from schemas.contracts import CONTRACTS

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS, USERS, ITEMS = 40, 40, 25
CONFIG = """
name = "tiny"
steps = 6
windows = 8
positions = 4
learning_warm_up = 2
validate_every = 3
[encoder]
dim = 16
history_length = 20
visual_components = 4
[backbone]
hidden = 32
layers = 1
heads = 2
intermediate = 64
vocabulary = 300
warm_up_steps = 2
[objectives]
prefix_tokens = 2
decoder_hidden = 16
[softmax]
repeats = false
"""


def _write_set(folder: Path) -> Plan:
    """Every user takes an item every other day, each once; three pictures; one line of events is broken; two targets."""
    folder.mkdir()
    rng = random.Random(0)
    events, last = [], {}
    for user in range(USERS):
        order = rng.sample(range(ITEMS), ITEMS)
        for step in range(DAYS // 2):
            time = FIRST + timedelta(days=2 * step + user % 2, hours=user % 20, minutes=step)
            last[f"u{user}"] = (f"i{order[step]}", time)
            events.append({"user_id": f"u{user}", "item_id": f"i{order[step]}", "event_type": "click", "event_time": time.isoformat()})
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events) + "broken\n")
    (folder / "items.csv").write_text(
        "item_id,title,category\n" + "".join(f"i{n},Film {n} of {n % 5},genre {n % 3}\n" for n in range(ITEMS))
    )
    (folder / "images").mkdir()
    for n in range(3):
        Image.new("RGB", (32, 32), (80 * n, 10, 10)).save(folder / f"images/i{n}.png")
    targets = [f"{user},{last[user][0]},{last[user][1].isoformat()}\n" for user in ("u0", "u1")]
    (folder / "targets.csv").write_text("user_id,item_id,cut_time\n" + "".join(targets))
    (folder / "config.toml").write_text(CONFIG)
    return Plan(
        events=folder / "events.jsonl", items=folder / "items.csv", images=folder / "images", targets=folder / "targets.csv",
        config=folder / "config.toml", label_days=10, days=2,
    )  # fmt: skip


def _expect_counts(page: str) -> None:
    """What the page says of this set."""
    shown = {name: n.replace(",", "") for name, n in re.findall(r'id="fact-(\w+)">([\d,]+)<', page)}
    assert shown == {
        "users": f"{USERS}", "items": f"{ITEMS}", "events": f"{DAYS // 2 * USERS}", "impressions": "4200", "days": "2", "spaces": "1",
    }  # fmt: skip
    assert re.search(r'id="arrival-events"><td>events</td><td class="num">801</td><td class="num">800</td><td class="num">1</td>', page)
    assert "malformed_row" in page
    assert f"{ITEMS} of {ITEMS} items" in page
    assert page.count('class="person"') == PEOPLE
    assert page.count("Film ") > PEOPLE


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return _write_set(tmp_path_factory.mktemp("own") / "set")


def test_files_end_published_and_joined_and_a_second_run_changes_nothing(spark: SparkSession, plan: Plan, tmp_path: Path) -> None:
    context = Context(spark=spark, places=Places(str(tmp_path / "out")), run_at=datetime(2026, 3, 1, tzinfo=UTC))
    travelled = travel(context, plan)
    summary = summarise(context, travelled)

    events = DAYS // 2 * USERS
    assert summary["ingested"]["events"]["read"] == events + 1
    assert (summary["rows"][names.EVENTS], summary["quarantined"]) == (events, {names.EVENTS: {"malformed_row": 1}})
    assert (summary["rows"][names.ITEMS], summary["rows"][names.VISUAL_FEATURES]) == (ITEMS, 3)
    assert summary["published_days"] == ["2026-02-08", "2026-02-09"]
    published = context.tables.read(names.INTEREST_EMBEDDINGS)
    snapshots = published.groupBy("ds", "publication", "trained_until").count().orderBy("ds").collect()
    until = datetime(2026, 1, 31, tzinfo=UTC)
    assert [(str(row["ds"]), row["publication"], row["trained_until"].replace(tzinfo=UTC), row["count"]) for row in snapshots] == [
        (day, names.SIMULATED, until, USERS) for day in summary["published_days"]
    ]

    figures = summary["metrics"]["leave_last_out"]
    assert (figures["n"], figures["dropped"], figures["corpus"]) == (2, 0, ITEMS)
    active = [row["version"] for row in context.tables.read(names.ENCODER_VERSIONS).collect()]
    assert active == [summary["encoders"]["published"]], "the leave-last-out encoder is registered"
    protocols = {name: read_manifest(context.places.encoders / version).protocol for name, version in summary["encoders"].items()}
    assert protocols == {"published": "time_split", "leave_last_out": "leave_last_out"}

    impressions = context.tables.read(names.IMPRESSIONS)
    assert impressions.where("clicked").count() == 10 * USERS // 2
    assert impressions.where(~F.col("request_id").startswith(PREFIX)).isEmpty()
    shown = impressions.where(F.col("ds") >= F.lit(datetime(2026, 2, 8, tzinfo=UTC).date()))
    assert context.tables.read(names.RANKING_FEATURES).count() == shown.count() == sum(summary["join"]["by_missing_reason"].values())
    assert summary["join"]["share"] >= 0.5

    page = write_report(context, travelled, summary)
    assert page == Path(summary["paths"]["report"]) / "index.html"
    _expect_counts(page.read_text())

    before = {table: context.tables.version(table) for table in CONTRACTS if table != names.RUN_LEDGER}
    again = travel(Context(spark=spark, places=context.places, run_at=datetime(2026, 3, 2, tzinfo=UTC)), plan)
    assert {table: context.tables.version(table) for table in before} == before
    assert {row.status for row in again.rows} == {names.UNCHANGED}
    assert again.encoder.version == summary["encoders"]["published"]


def test_the_least_that_a_set_can_have(spark: SparkSession, tmp_path: Path) -> None:
    """Who took what in which order, and titles: no times, ids, types, queries, categories, prices, pictures or impressions."""
    folder = tmp_path / "set"
    folder.mkdir()
    taken = [f"u{n % 12},i{(n * 7 + n // 12) % 15}\n" for n in range(360)]
    (folder / "events.csv").write_text("user,item\n" + "".join(taken))
    (folder / "items.csv").write_text("item,name\n" + "".join(f"i{n},Film {n} of {n % 5}\n" for n in range(15)))
    (folder / "config.toml").write_text(CONFIG)
    mapping = Mapping.model_validate(
        {
            "events": {
                "user_id": "user", "item_id": "item", "event_type": {"constant": "click"},
                "event_time": {"time": "order", "step_seconds": 7200},
            },
            "items": {"item_id": "item", "title": "name"},
        }
    )  # fmt: skip
    plan = Plan(
        events=folder / "events.csv", items=folder / "items.csv", mapping=mapping, config=folder / "config.toml", label_days=5, days=1
    )
    context = Context(spark=spark, places=Places(str(tmp_path / "out")), run_at=datetime(2026, 3, 1, tzinfo=UTC))
    summary = summarise(context, travel(context, plan))
    assert (summary["rows"][names.EVENTS], summary["quarantined"], summary["metrics"]) == (360, {}, {})
    assert summary["published_days"] == ["2000-01-30"], "12 events a day from 2000-01-01 on"
    assert summary["rows"][names.INTEREST_EMBEDDINGS] == 12
    joined = summary["join"]["by_missing_reason"]
    assert joined[names.NOT_PUBLISHED] == sum(joined.values()) == summary["rows"][names.RANKING_FEATURES] >= 12, "readable after its day"
