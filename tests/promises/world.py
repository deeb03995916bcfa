"""A small world under test: land rows, run days, read what was published."""

import shutil
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession

from jobs.day import DAY, DayOptions, run_day
from jobs.encoders import Encoder, open_encoder, register
from jobs.ledger import LedgerRow
from jobs.places import Places
from jobs.publish import Publication
from jobs.stage import Context
from schemas import names

D0 = date(2026, 3, 1)
USERS = [f"u{number:02}" for number in range(40)]
COLOURS = ("red", "blue", "green", "golden", "striped", "matte")
THINGS = ("lamp", "mug", "jacket", "rug", "clock", "kettle")
ITEMS = {f"i{c}{t}": f"{colour} {thing}" for c, colour in enumerate(COLOURS) for t, thing in enumerate(THINGS)}
PUBLISHING = tuple(step for step in DAY if step.job not in (names.INGEST_IMPRESSIONS_JOB, names.RANKING_FEATURES_JOB))
RUN_AT = datetime(2026, 6, 1, tzinfo=UTC)


def day(offset: int) -> date:
    return D0 + timedelta(days=offset)


def moment(offset: int, hour: float = 12.0) -> datetime:
    return datetime(D0.year, D0.month, D0.day, tzinfo=UTC) + timedelta(days=offset, hours=hour)


def click(event_id: str, user: str, item: str, time: datetime) -> dict[str, Any]:
    return {"event_id": event_id, "user_id": user, "event_time": time, "event_type": "click", "item_id": item, "query": None}


def shown(request: str, user: str, item: str, time: datetime) -> dict[str, Any]:
    return {"request_id": request, "item_id": item, "user_id": user, "impression_time": time, "clicked": True}


def titled(item: str, title: str, valid_from: datetime) -> dict[str, Any]:
    return {"item_id": item, "title": title, "category": "home", "valid_from": valid_from}


@dataclass
class World:
    """One root folder and the session to work on it. Days are offsets from D0."""

    spark: SparkSession
    root: Path
    options: DayOptions = field(default_factory=lambda: DayOptions(publication=Publication(mode="simulated")))

    def context(self, *, run_at: datetime = RUN_AT, recompute: bool = False) -> Context:
        return Context(spark=self.spark, places=Places(str(self.root)), run_at=run_at, recompute=recompute)

    def land(self, table: str, offset: int, rows: list[dict[str, Any]]) -> None:
        """Replace the landing partition of a day by ``rows`` (none: an empty day)."""
        folder = Path(Places(str(self.root)).landing_partition(table, day(offset).isoformat()))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if rows:
            pd.DataFrame(rows).to_parquet(folder / "part.parquet", index=False, coerce_timestamps="us")
        (folder / names.SUCCESS_MARKER).touch()

    def land_day(self, offset: int, *, events: list = (), items: list = (), impressions: list = ()) -> None:
        for table, rows in ((names.EVENTS, events), (names.ITEMS, items), (names.IMPRESSIONS, impressions)):
            self.land(table, offset, list(rows))

    @property
    def encoder(self) -> Encoder:
        return open_encoder(self.root / "encoders" / "tiny")

    def add_encoder(self, folder: Path) -> Encoder:
        encoder = open_encoder(folder)
        register(self.context(), encoder, {})
        return encoder

    def run(
        self,
        *offsets: int,
        join: bool = False,
        encoders: list[Encoder] | None = None,
        run_at: datetime = RUN_AT,
        recompute: bool = False,
    ) -> dict[str, LedgerRow]:
        """Run days in the order given, up to their publication, or with ``join`` to their ranking features.

        Returns the final rows of the last day, by job (of the first encoder).
        """
        rows: list[LedgerRow] = []
        steps = DAY if join else PUBLISHING
        for offset in offsets:
            context = self.context(run_at=run_at, recompute=recompute)
            rows = run_day(context, self.options, day(offset), encoders or [self.encoder], steps)
        return {row.job: row for row in reversed(rows)}

    def statuses(self, rows: dict[str, LedgerRow]) -> set[str]:
        return {row.status for row in rows.values()}

    def snapshot(self, offset: int, space_id: str | None = None) -> dict[str, dict[str, Any]]:
        """The published rows of a day by user; vectors as arrays."""
        where = {"ds": day(offset), "space_id": space_id or self.encoder.space_id}
        frame = self.context().tables.read_where(names.INTEREST_EMBEDDINGS, where)
        return {row["user_id"]: {**row.asDict(), "embedding": np.array(row["embedding"])} for row in frame.collect()}

    def features(self, offset: int, space_id: str | None = None) -> dict[str, dict[str, Any]]:
        """The ranking features of a day by request."""
        where = {"ds": day(offset), "space_id": space_id or self.encoder.space_id}
        return {row["request_id"]: row.asDict() for row in self.context().tables.read_where(names.RANKING_FEATURES, where).collect()}


def copy_of(root: Path, spark: SparkSession, folder: Path) -> World:
    """A world of one's own: the files of ``root`` under ``folder``."""
    shutil.copytree(root, folder / "world")
    return World(spark, folder / "world")


def rows_of(world: World, offset: int) -> dict[str, dict[str, Any]]:
    """A snapshot with its vectors as lists, clocks included: equal means untouched."""
    return {user: {**row, "embedding": row["embedding"].tolist()} for user, row in world.snapshot(offset).items()}


def assert_same_snapshot(one: dict, other: dict) -> None:
    """P5b: the same users, fingerprints and vectors (cosine >= 0.99999 in fp32); where a vector was encoded may differ."""
    assert one.keys() == other.keys()
    for user, row in one.items():
        for column in ("fingerprint", "history_len", "last_event_time", "as_of", "available_at"):
            assert row[column] == other[user][column], (user, column)
        assert float(row["embedding"] @ other[user]["embedding"]) >= 0.99999, user


def base_events(offset: int) -> list[dict[str, Any]]:
    """Day 0: three clicks of every user; later days: one click of every fourth user."""
    rng = np.random.default_rng(100 + offset)
    who = USERS * 3 if offset == 0 else USERS[offset::4]
    items = rng.choice(sorted(ITEMS), size=len(who))
    return [
        click(f"e{offset}-{number:03}", user, str(item), moment(offset, hour=1 + number * 0.1))
        for number, (user, item) in enumerate(zip(who, items, strict=True))
    ]


def build_base(spark: SparkSession, root: Path, encoder: Path) -> World:
    """Days 0 to 3 landed, days 0 to 2 published, day 1 joined; every user is shown an item on days 1 to 3."""
    world = World(spark, root)
    world.add_encoder(encoder)
    world.land_day(0, events=base_events(0), items=[titled(item, title, moment(-30)) for item, title in ITEMS.items()])
    for offset in (1, 2, 3):
        impressions = [shown(f"q{offset}-{user}", user, "i00", moment(offset, hour=18)) for user in USERS]
        world.land_day(offset, events=base_events(offset), impressions=impressions)
    world.run(0)
    world.run(1, join=True)
    world.run(2)
    return world
