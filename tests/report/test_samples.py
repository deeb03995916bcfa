"""What the report takes from Spark: samples in a fixed order, newest items, and the nearest items against a plain loop."""

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.report import people, sampled
from jobs.report.people import nearest_items, people_of
from tests.report.made_facts import vectors

ITEMS = vectors(40, seed=5)
HISTORIES = {
    "long": ["i1", None, "i2", "i3", "i4", "gone"],
    "short": ["i7"],
    "typed": [None],
}


@pytest.fixture
def items(spark: SparkSession) -> DataFrame:
    """40 items in several partitions; item 0 lacks a title, item 39 a vector, odd ones an image."""
    rows = [(f"i{n}", f"Film {n}" if n else None, "sha" if n % 2 else None, ITEMS[n].tolist() if n < 39 else None) for n in range(40)]
    frame = spark.createDataFrame(rows, "item_id string, title string, image_sha256 string, embedding array<float>")
    return frame.repartition(4)


@pytest.fixture
def histories(spark: SparkSession) -> DataFrame:
    rows = [
        (user, ["click" if item else "query" for item in row], row, [None if item else "a query" for item in row])
        for user, row in HISTORIES.items()
    ]
    return spark.createDataFrame(rows, "user_id string, event_types array<string>, item_ids array<string>, queries array<string>")


@pytest.fixture
def interests(spark: SparkSession) -> DataFrame:
    rows = [(user, len(row), ITEMS[place].tolist()) for place, (user, row) in enumerate(HISTORIES.items())]
    return spark.createDataFrame(rows, "user_id string, history_len int, embedding array<float>")


def test_users_come_with_their_newest_items_first(interests: DataFrame, histories: DataFrame) -> None:
    users = sampled.users(interests, histories).set_index("user_id")
    newest = {user: list(row) for user, row in users.newest.items()}
    assert newest == {"long": ["gone", "i4", "i3", "i2"], "short": ["i7"], "typed": []}
    assert users.history_len.to_dict() == {"long": 6, "short": 1, "typed": 1}


def test_a_sample_is_bounded_and_the_same_whatever_the_partitions(items: DataFrame) -> None:
    first, again = sampled.items(items, 7), sampled.items(items.repartition(1), 7)
    assert len(first) == 7
    assert list(first.item_id) == list(again.item_id)
    assert set(sampled.items(items, 100).item_id) == {f"i{n}" for n in range(39)}, "those with a vector"


def test_the_nearest_are_those_of_a_plain_loop(items: DataFrame) -> None:
    asked = vectors(2, seed=9)
    thirty_nearest = sorted(range(39), key=lambda n: -float(ITEMS[n] @ asked[1]))[:30]
    taken = [frozenset({"i3"}), frozenset(f"i{n}" for n in thirty_nearest)]
    near = nearest_items(items, asked, taken)
    for user, interest in enumerate(asked):
        order = sorted(range(39), key=lambda n: -float(ITEMS[n] @ interest))
        mine = near[near.user == user]
        assert list(mine.item_id[: people.NEAREST]) == [f"i{n}" for n in order[: people.NEAREST]]
        untaken = [f"i{n}" for n in order if f"i{n}" not in taken[user]]
        assert list(mine[~mine.taken].item_id[: people.UNTAKEN]) == untaken[: people.UNTAKEN]
        assert mine.cosine.iloc[0] == pytest.approx(float(ITEMS[order[0]] @ interest), abs=1e-6)


def test_people_in_words(items: DataFrame, histories: DataFrame) -> None:
    users = pd.DataFrame({"user_id": list(HISTORIES), "history_len": [6, 1, 1], "embedding": list(ITEMS[:3])})
    short, typed, long = people_of(users, histories, items)
    assert [person.user_id for person in (short, typed, long)] == ["short", "typed", "long"]
    assert [(line.text, line.image) for line in long.history[:2]] == [("click: unknown item", False), ("click: Film 4", False)]
    assert [(line.text, line.image) for line in short.history] == [("click: Film 7", True)]
    assert [line.text for line in typed.history] == ['typed "a query"']
    assert (long.nearest[0].text, long.nearest[0].taken, long.nearest[0].cosine) == (sampled.NO_TITLE, False, pytest.approx(1))
    assert not any(line.taken for line in long.untaken)


def test_no_user_no_people(items: DataFrame, histories: DataFrame) -> None:
    assert people_of(pd.DataFrame({"user_id": [], "history_len": [], "embedding": []}), histories, items) == ()


def test_vectors_of_nothing_have_their_dimension() -> None:
    assert sampled.stacked(pd.Series([], dtype=object), 8).shape == (0, 8)
    assert sampled.stacked(pd.Series([np.ones(8)]), 8).dtype == np.float32
