"""Rows of the scenario table of the design that one week shows side by side."""

from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from schemas import names
from tests.promises.week import ANCIENT, LATE, RENAMED, SHOWN_AT, SOLO, VETERAN, Week, live_week
from tests.promises.world import USERS, copy_of, day, rows_of


@pytest.fixture(scope="module")
def week(_base: Path, _spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Week:
    return live_week(copy_of(_base, _spark_session, tmp_path_factory.mktemp("week")))


def test_a_late_event_enters_the_day_it_arrives(week: Week) -> None:
    world = week.world
    assert [rows_of(world, offset) for offset in range(5)] == week.before_the_late_event
    assert all(week.before_the_late_event)
    history = world.context().tables.read_where(names.USER_HISTORIES, {"ds": day(5)}).where(F.col("user_id") == LATE).collect()[0]
    assert history["event_ids"][0] == "late"  # oldest by its own time
    assert history["event_times"] == sorted(history["event_times"])
    assert world.snapshot(5)[LATE]["history_len"] == world.snapshot(4)[LATE]["history_len"] + 1


def test_an_item_renamed_and_renamed_back(week: Week) -> None:
    def fingerprints(rows: dict) -> dict:
        return {user: row["fingerprint"] for user, row in rows.items()}

    world = week.world
    assert fingerprints(week.after_recompute) == fingerprints(week.before_recompute)
    histories = world.context().tables.read_where(names.USER_HISTORIES, {"ds": day(3)}).collect()
    touched = {row["user_id"] for row in histories if RENAMED in row["item_ids"][-6:]}
    assert 0 < len(touched) < len(USERS)
    day_3, day_4 = world.snapshot(3), world.snapshot(4)
    for offset, rows in ((3, day_3), (4, day_4)):
        assert {user for user, row in rows.items() if row["encoded_ds"] == day(offset)} == touched
    assert all(day_3[user]["fingerprint"] != day_4[user]["fingerprint"] for user in touched)


def test_an_encoder_trained_until_after_the_impression(week: Week) -> None:
    for rows, without_vector in ((week.features["seer"], True), (week.allowed, False)):
        asked = {key: row for key, row in rows.items() if key.startswith("q6-")}
        assert len(asked) == len(USERS)
        assert {(row["missing_reason"], row["interest_embedding"] is None) for row in asked.values()} == {
            (names.TRAINED_AFTER, without_vector)
        }


def test_an_event_older_than_the_retention_still_has_its_vector(week: Week) -> None:
    assert week.world.snapshot(5)[VETERAN]["last_event_time"] == ANCIENT.replace(tzinfo=None)
    row = week.features["tiny"][VETERAN]
    assert row["missing_reason"] is None
    assert row["last_event_age"] == (SHOWN_AT - ANCIENT).total_seconds()


def test_a_withdrawn_event_takes_its_user_away(week: Week) -> None:
    assert SOLO in week.with_solo
    assert SOLO not in week.world.snapshot(5)
    row = week.features["tiny"][SOLO]
    assert (row["missing_reason"], row["vector_ds"]) == (names.NO_HISTORY, day(5))


def test_the_old_space_goes_on_when_the_champion_changes(week: Week) -> None:
    assert week.active == ["heir", "tiny"]
    world = week.world
    versions = world.context().tables.read(names.ITEMS).where(F.col("item_id") == RENAMED).orderBy("valid_from").collect()
    for encoder in week.encoders[:2]:
        rows = {key: row for key, row in week.features[encoder.version].items() if key.startswith("q6-")}
        interests = world.snapshot(5, encoder.space_id)
        items = world.context().tables.read_where(names.ITEM_EMBEDDINGS, {"space_id": encoder.space_id})
        candidate = np.array(items.where(F.col("content_hash") == versions[-1]["content_hash"]).collect()[0]["embedding"])
        assert len(rows) == len(USERS)
        for row in rows.values():
            assert row["candidate_cosine"] == pytest.approx(float(interests[row["user_id"]]["embedding"] @ candidate), abs=1e-5)


def test_an_impression_that_comes_again_the_next_day_stays_one(week: Week) -> None:
    assert set(week.before_its_day_came) == {"q6-u00", "q7-u00"}  # the day before was not there yet
    assert "q6-u00" in week.features["tiny"]
    assert list(week.world.features(7)) == ["q7-u00"]
