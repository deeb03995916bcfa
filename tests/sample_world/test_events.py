"""What lies in the events landing zone. Who shows which oddity is worked out here from the user's number alone."""

import pandas as pd
import pytest

from jobs.sample_world import World
from schemas import names
from tests.sample_world.conftest import SMALL, Landed

DAY = pd.Timedelta(days=1)
FIRST_DAY = pd.Timestamp(SMALL.first_day, tz="UTC")


def users(period: int, remainder: int) -> set[str]:
    return {f"u{index:08d}" for index in range(SMALL.users) if index % period == remainder}


@pytest.fixture
def events(landed: Landed) -> pd.DataFrame:
    return landed.events


def test_every_partition_has_its_marker_and_the_manifest_counts_its_rows(world: World, landed: Landed) -> None:
    partitions = ["bulk", "ds=2026-03-02", "ds=2026-03-03", "ds=2026-03-04"]
    for table, frame in ((names.EVENTS, landed.events), (names.ITEMS, landed.items), (names.IMPRESSIONS, landed.impressions)):
        assert [(world.paths.landing / table / name / "_SUCCESS").exists() for name in partitions] == [True] * 4
        assert world.rows[table] == frame.groupby("partition").size().to_dict()
        assert sorted(world.rows[table]) == partitions


def test_the_bulk_load_ends_where_training_does(world: World, events: pd.DataFrame) -> None:
    bulk = events[events.partition == "bulk"]
    assert world.trained_until.isoformat() == "2026-03-02T00:00:00+00:00"
    assert bulk.event_time.max() < FIRST_DAY
    assert bulk.event_time.min() >= FIRST_DAY - SMALL.history_days * DAY
    assert bulk[["user_id", "event_id", "event_type"]].notna().all(axis=None)


def test_late_events_come_from_late_users_one_to_three_days_after(events: pd.DataFrame) -> None:
    lateness = events.day - events.event_time.dt.floor("D")
    late = events[(lateness > 0 * DAY) & (lateness <= 3 * DAY) & ~events.event_id.duplicated(keep=False)]
    assert set(late.user_id) == users(25, 16)


def test_events_more_than_a_week_late_come_from_their_users(events: pd.DataFrame) -> None:
    too_late = events[events.day - events.event_time > 7 * DAY]
    assert set(too_late.user_id) == users(50, 17)
    assert set(too_late.day) == {FIRST_DAY}


def test_nothing_else_arrives_late(events: pd.DataFrame) -> None:
    lateness = events.day - events.event_time.dt.floor("D")
    odd = users(25, 16) | users(50, 17) | users(25, 19) | users(50, 13)
    assert (lateness[~events.user_id.isin(odd) & events.day.notna()] == 0 * DAY).all()


@pytest.mark.parametrize(
    ("remainder", "broken"),
    [
        (10, lambda rows: rows.user_id.isna()),
        (11, lambda rows: ~rows.event_type.isin(names.EVENT_TYPES)),
        (12, lambda rows: rows.item_id.fillna("i").str.startswith("unlisted")),
        (13, lambda rows: rows.event_time.dt.floor("D") > rows.day),
    ],
    ids=["null user", "unknown type", "unknown item", "future"],
)
def test_one_broken_row_a_user_of_each_kind_in_turns_over_the_days(events: pd.DataFrame, remainder: int, broken) -> None:
    senders = [index for index in range(SMALL.users) if index % 50 == remainder]
    expected = sorted((f"e{index:08d}-extra", FIRST_DAY + (index // 50 % 3) * DAY) for index in senders)
    found = events[broken(events)]
    assert sorted(zip(found.event_id, found.day, strict=True)) == expected


def test_redelivered_users_repeat_one_row_that_day_and_one_the_next(events: pd.DataFrame) -> None:
    copies = events[events.event_id.duplicated(keep=False)].sort_values(["event_id", "day"])
    days = copies.groupby("event_id").day.agg(list)
    assert set(copies.user_id) == users(25, 19)
    same_day = [FIRST_DAY, FIRST_DAY]
    next_day = [FIRST_DAY, FIRST_DAY + DAY]
    assert sorted(days) == sorted([same_day] * len(users(25, 19)) + [next_day] * len(users(25, 19)))
    content = ["event_id", "user_id", "event_time", "event_type", "item_id", "query", "value"]
    assert len(copies[content].drop_duplicates()) == len(days)


def test_users_with_none_one_and_thousands_of_events(events: pd.DataFrame, landed: Landed) -> None:
    taken = events[events.item_id.notna()].groupby("user_id").size()
    assert not set(events.user_id) & users(25, 3)
    assert set(landed.impressions.user_id) >= users(25, 3)
    assert set(taken[list(users(25, 4))]) == {1}
    assert set(taken[taken > 1000].index) == users(200, 7)


def test_bursts_share_one_time_stamp(events: pd.DataFrame) -> None:
    at_once = events[events.item_id.notna()].groupby(["user_id", "event_time"]).size()
    most = at_once.groupby("user_id").max()
    assert (most[list(users(25, 18))] >= 6).all()


def test_newcomers_start_on_the_second_demo_day(events: pd.DataFrame) -> None:
    first = events[events.user_id.isin(users(25, 5))].groupby("user_id").event_time.min()
    assert set(first.index) == users(25, 5)
    assert (first >= FIRST_DAY + DAY).all()


def test_ids_order_a_users_events_as_time_does(events: pd.DataFrame) -> None:
    regular = events[~events.event_id.str.endswith("-extra")].sort_values(["user_id", "event_id"])
    assert regular.groupby("user_id").event_time.apply(lambda times: times.is_monotonic_increasing).all()


def test_queries_are_typed_alone_ahead_of_an_item_or_with_it(events: pd.DataFrame) -> None:
    alone = events[events.event_type == names.QUERY]
    both = events[events["query"].notna() & events.item_id.notna()]
    assert alone.item_id.isna().all()
    assert alone["query"].notna().all()
    share = len(events[events.item_id.notna()])
    assert 0.09 < len(alone) / share < 0.16  # an eighth each
    assert 0.09 < len(both) / share < 0.16


def test_repeats_are_rare_while_tastes_are_not_used_up(events: pd.DataFrame) -> None:
    taken = events[events.item_id.notna() & ~events.event_id.duplicated()]
    usual = taken[taken.groupby("user_id").item_id.transform("size") <= 30]
    assert 0 < usual.duplicated(["user_id", "item_id"]).mean() < 0.04


def test_targets_are_first_item_events_on_demo_days(world: World, landed: Landed) -> None:
    launched = set(landed.items.item_id)
    expected = {}
    for row in landed.events.sort_values(["event_time", "event_id"]).itertuples():
        is_sound = row.user_id and row.event_type in names.EVENT_TYPES and row.item_id in launched
        if pd.notna(row.day) and is_sound and FIRST_DAY <= row.event_time < row.day + DAY:
            expected.setdefault(row.user_id, (row.item_id, row.event_time))
    earlier = landed.events[(landed.events.partition == "bulk") & landed.events.item_id.notna()]
    expected = {user: target for user, target in expected.items() if user in set(earlier.user_id)}
    targets = pd.read_parquet(world.paths.targets)
    assert {row.user_id: (row.item_id, row.event_time) for row in targets.itertuples()} == expected
    assert len(targets) == len(expected) > 100
