"""What lies in the items landing zone: versions, launches, pictures."""

import io

import pandas as pd
import pytest
from PIL import Image, UnidentifiedImageError

from jobs.sample_world import World
from schemas import names
from tests.sample_world.conftest import SMALL, Landed

DAY = pd.Timedelta(days=1)
FIRST_DAY = pd.Timestamp(SMALL.first_day, tz="UTC")


@pytest.fixture
def launches(landed: Landed) -> pd.Series:
    return landed.items.groupby("item_id").valid_from.min()


def test_all_items_launch_once_and_a_few_are_cold(launches: pd.Series) -> None:
    cold = launches[launches >= FIRST_DAY]
    assert sorted(launches.index) == [f"i{number:07d}" for number in range(SMALL.items)]
    assert len(cold) == 13  # 3 % of 420, rounded
    assert set(cold.dt.floor("D")) == {FIRST_DAY, FIRST_DAY + DAY, FIRST_DAY + 2 * DAY}


def test_no_item_is_taken_or_shown_before_its_launch(landed: Landed, launches: pd.Series) -> None:
    taken = landed.events[landed.events.item_id.isin(launches.index)]
    assert (taken.event_time >= taken.item_id.map(launches)).all()
    assert (landed.impressions.impression_time >= landed.impressions.item_id.map(launches)).all()


def test_one_item_lands_a_day_after_its_launch_and_is_not_unknown_for_ever(landed: Landed) -> None:
    late = landed.items[landed.items.day > landed.items.valid_from.dt.floor("D")]
    assert len(late) == 1
    assert (late.day - late.valid_from.dt.floor("D")).tolist() == [DAY]


def test_three_items_are_renamed_and_named_back(landed: Landed) -> None:
    titles = landed.items.sort_values("valid_from").groupby("item_id").title.agg(list)
    renamed = titles[titles.map(lambda versions: len(set(versions)) > 1)]
    assert len(renamed) == 3
    for item, versions in renamed.items():
        rows = landed.items[(landed.items.item_id == item)].sort_values("valid_from")
        named = list(dict.fromkeys(versions))
        assert versions[-1] == versions[0]
        assert rows[rows.title == named[1]].day.tolist() == [FIRST_DAY + DAY]
        assert rows.iloc[-1].day == FIRST_DAY + 2 * DAY
        assert rows.image.map(lambda data: data or b"").nunique() == 1


def test_five_prices_change_a_day_and_nothing_else_with_them(landed: Landed) -> None:
    first = landed.items.sort_values("valid_from").drop_duplicates("item_id").set_index("item_id")
    for day in range(3):
        today = landed.items[landed.items.day == FIRST_DAY + day * DAY].set_index("item_id")
        repriced = today[today.price != first.price.reindex(today.index)]
        assert len(repriced) == 5
        assert repriced.title.fillna("").equals(first.title.reindex(repriced.index).fillna(""))


def test_pictures_open_but_for_the_truncated_and_the_missing(landed: Landed) -> None:
    first = landed.items.drop_duplicates("item_id")
    present = first[first.image.notna()]
    assert present.image_ref.tolist() == [f"images/{item}.jpg" for item in present.item_id]
    assert first[first.image.isna()].image_ref.isna().all()
    assert 0.03 < first.image.isna().mean() < 0.14  # 8 % of 420, give or take four standard deviations
    assert 0 < first.title.isna().mean() < 0.05
    broken = []
    for item, data in zip(present.item_id, present.image, strict=True):
        try:
            assert Image.open(io.BytesIO(data)).convert("RGB").size == (48, 48)
        except (UnidentifiedImageError, OSError):
            broken.append(item)
    assert broken == ["i0000200"]  # one in 400


def test_every_style_and_category_can_be_met_from_the_first_day(world: World) -> None:
    truth = pd.read_parquet(world.paths.truth / "items.parquet")
    start = FIRST_DAY - SMALL.history_days * DAY
    old = truth[truth.valid_from < start]
    assert len(old[["style", "category"]].drop_duplicates()) == 12 * 12


def test_a_page_holds_eight_items_and_its_click_is_an_event(landed: Landed) -> None:
    pages = landed.impressions.groupby("request_id")
    assert set(pages.item_id.nunique()) == set(pages.size()) == {8}
    assert (pages.position.agg(lambda positions: sorted(positions) == list(range(1, 9)))).all()
    assert set(pages.clicked.sum()) == {0, 1}
    clicked = landed.impressions[landed.impressions.clicked]
    clicks = landed.events[landed.events.event_type == names.CLICK]
    met = clicked.merge(clicks, on=["user_id", "item_id"], suffixes=("", "_event"))
    seconds = (met.event_time - met.impression_time).dt.total_seconds()
    assert set(met[(seconds >= 0) & (seconds <= 30)].request_id) == set(clicked.request_id)
    assert len(clicked) > 500


def test_pages_land_on_their_day_and_go_back_two_weeks(landed: Landed) -> None:
    daily = landed.impressions[landed.impressions.day.notna()]
    assert (daily.impression_time.dt.floor("D") == daily.day).all()
    bulk = landed.impressions[landed.impressions.day.isna()]
    assert FIRST_DAY - 14 * DAY - pd.Timedelta(seconds=30) <= bulk.impression_time.min()
    assert bulk.impression_time.max() < FIRST_DAY


def test_pages_without_a_click_are_shown_to_users_without_events(landed: Landed) -> None:
    nobody = landed.impressions[landed.impressions.user_id == "u00000003"]
    assert len(nobody) > 0
    assert not nobody.clicked.any()
