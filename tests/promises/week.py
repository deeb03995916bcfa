"""One week where much goes wrong, lived through once: its scenarios are told apart by the users, items and encoders they touch."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import functions as F

from jobs.day import DAY, DayOptions, run_day
from jobs.encoders import Encoder, active_encoders
from jobs.publish import Publication
from jobs.ranking_features import JoinPolicy
from schemas import names
from tests.promises.world import USERS, World, base_events, click, day, moment, rows_of, shown, titled
from tests.tiny import tiny_encoder

SNAPSHOT_JOBS = (names.INGEST_EVENTS_JOB, names.USER_HISTORIES_JOB, names.INTEREST_EMBEDDINGS_JOB, names.VALIDATE_JOB, names.PUBLISH_JOB)
JOINING = [step for step in DAY if step.job not in SNAPSHOT_JOBS]
"""What a day needs whose impressions alone are looked at."""

REMEMBERING = [step for step in DAY if step.job in (names.INGEST_EVENTS_JOB, names.USER_HISTORIES_JOB)]
"""What a day leaves to the histories of later ones."""
ENCODING = [step for step in DAY if step.job in (names.ITEM_EMBEDDINGS_JOB, names.USER_HISTORIES_JOB, *SNAPSHOT_JOBS[2:])]
"""From what was ingested to a published snapshot."""

RENAMED = "i00"
VETERAN, SOLO, LATE = "veteran", "solo", "u00"
"""Users: with one event older than the retention; with one event that is withdrawn; with one that arrives five days late."""
ANCIENT: datetime = moment(-200, hour=6)
SHOWN_AT: datetime = moment(6, hour=6)

Rows = dict[str, dict[str, Any]]


@dataclass
class Week:
    """What was seen on the way; what stands at the end is read from ``world``."""

    world: World
    active: list[str] = field(default_factory=list)
    encoders: list[Encoder] = field(default_factory=list)
    before_recompute: Rows = field(default_factory=dict)
    after_recompute: Rows = field(default_factory=dict)
    before_the_late_event: list[Rows] = field(default_factory=list)
    with_solo: Rows = field(default_factory=dict)
    before_its_day_came: Rows = field(default_factory=dict)
    features: dict[str, Rows] = field(default_factory=dict)
    allowed: Rows = field(default_factory=dict)

    @property
    def seer(self) -> Encoder:
        return next(encoder for encoder in self.encoders if encoder.version == "seer")


def live_week(world: World) -> Week:
    """Go on where the base world ends: days 3 to 7, and one day long ago.

    Days 3 and 4: an item is renamed and renamed back, and day 1 is recomputed. Then a day of the past lands, and events as old as that
    leave the table. Day 5: the champion changes, one event comes late, one is withdrawn. Day 6: everybody is shown an item; day 7 came
    before it and brought one of these impressions too.
    """
    week = Week(world)
    _rename_and_rename_back(week)
    _land_the_past(world)
    _change_the_champion(week)
    _take_one_late_and_withdraw_one(week)
    _show_an_item_to_all(week)
    return week


def _rename_and_rename_back(week: Week) -> None:
    world = week.world
    week.before_recompute = world.snapshot(1)
    world.land_day(3, items=[titled(RENAMED, "purple lamp", moment(3, hour=1))])
    world.land_day(4, items=[titled(RENAMED, "red lamp", moment(4, hour=1))])
    world.run(3, 4)
    run_day(world.context(recompute=True), world.options, day(1), [world.encoder], ENCODING)
    week.after_recompute = world.snapshot(1)


def _land_the_past(world: World) -> None:
    world.land_day(-200, events=[click("ancient", VETERAN, "i00", ANCIENT)])
    run_day(world.context(), world.options, day(-200), [], REMEMBERING)
    DeltaTable.forPath(world.spark, f"{world.root}/warehouse/{names.EVENTS}").delete(F.col("ds") < F.lit(day(-90)))


def _change_the_champion(week: Week) -> None:
    world = week.world
    world.add_encoder(tiny_encoder(world.root / "encoders", "heir", seed=2))
    DeltaTable.forPath(world.spark, f"{world.root}/warehouse/{names.ENCODER_VERSIONS}").update(
        set={"alias": F.when(F.col("version") == "heir", F.lit(names.CHAMPION))}
    )
    week.active = [encoder.version for encoder in active_encoders(world.context())]
    seer = world.add_encoder(tiny_encoder(world.root / "encoders", "seer", seed=1, trained_until=moment(6, hour=20).isoformat()))
    week.encoders = [*(e for e in active_encoders(world.context()) if e.version != seer.version), seer]


def _take_one_late_and_withdraw_one(week: Week) -> None:
    world = week.world
    week.before_the_late_event = [rows_of(world, offset) for offset in range(5)]
    late = [*base_events(5), click("late", LATE, "i11", moment(0, hour=0.5))]
    world.land_day(5, events=[*late, click("only", SOLO, "i00", moment(5, hour=2))])
    world.run(5, encoders=week.encoders)
    week.with_solo = world.snapshot(5)
    world.land(names.EVENTS, 5, late)
    world.run(5)


def _show_an_item_to_all(week: Week) -> None:
    world = week.world
    again, new = shown("q6-u00", "u00", RENAMED, moment(6, hour=18)), shown("q7-u00", "u00", RENAMED, moment(7, hour=18))
    world.land_day(7, impressions=[again, new])
    run_day(world.context(), world.options, day(7), [world.encoder], JOINING)
    week.before_its_day_came = world.features(7)
    impressions = [shown(f"q6-{user}", user, RENAMED, moment(6, hour=18)) for user in USERS]
    world.land_day(6, impressions=[*impressions, *(shown(user, user, RENAMED, SHOWN_AT) for user in (VETERAN, SOLO))])
    run_day(world.context(), world.options, day(6), week.encoders, JOINING)
    run_day(world.context(), world.options, day(7), [world.encoder], JOINING)
    week.features = {encoder.version: world.features(6, encoder.space_id) for encoder in week.encoders}
    allowing = DayOptions(publication=Publication(mode="simulated"), join=JoinPolicy(allow_trained_after=True))
    run_day(world.context(), allowing, day(6), [week.seer], JOINING)
    week.allowed = world.features(6, week.seer.space_id)
