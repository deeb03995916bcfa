"""check_interests: a good day passes, and each corruption fails exactly the rules that it breaks, in the frames that hold it."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from jobs import gate
from jobs.errors import SpaceMixError
from schemas import names
from schemas.contracts import CONTRACTS
from tests.gate.days import BEFORE, CHANGED, DIMENSION, DS, SPACE, USERS, Day, good_day, unit, user

CARRIED = 150  # a user with 10 events, whose vector is carried
TODAY = "encoded_today"
SNAPSHOT = "snapshot"
DAY = good_day()


def check(spark: SparkSession, day: Day, docs_dir: Path) -> gate.Verdict:
    return gate.check_interests(spark, **day.frames(spark), space_id=SPACE, ds=DS, dimension=DIMENSION, docs_dir=docs_dir)


def failed(verdict: gate.Verdict) -> set[tuple[str, str]]:
    return {(result.frame, result.rule) for result in verdict.with_status(gate.FAILED)}


def both(*rules: str) -> set[tuple[str, str]]:
    return {(frame, rule) for frame in (TODAY, SNAPSHOT) for rule in rules}


def of_snapshot(*rules: str) -> set[tuple[str, str]]:
    return {(SNAPSHOT, rule) for rule in rules}


def vector_of(number: int) -> list[float]:
    return list(DAY.staged[number]["embedding"])


def with_vectors_today(vectors: np.ndarray) -> Day:
    """The day with other vectors for the users encoded today."""
    rows = [{**row, "embedding": vectors[i].tolist()} if i < CHANGED else row for i, row in enumerate(DAY.staged)]
    return replace(DAY, staged=rows)


def first_day(day: Day) -> Day:
    return replace(day, previous=None)


def without(number: int) -> Day:
    return replace(DAY, staged=[row for i, row in enumerate(DAY.staged) if i != number])


def near_one_point() -> np.ndarray:
    rng = np.random.default_rng(5)
    return unit(np.ones(DIMENSION) + 0.05 * rng.normal(size=(CHANGED, DIMENSION)))


def near_one_line() -> np.ndarray:
    return near_one_point() * np.where(np.arange(CHANGED) % 2, 1, -1)[:, None]


def scattered() -> np.ndarray:
    return unit(np.random.default_rng(6).normal(size=(CHANGED, DIMENSION)))


def as_yesterday() -> np.ndarray:
    assert DAY.previous is not None
    return np.array([row["embedding"] for row in DAY.previous[:CHANGED]])


CORRUPTIONS: dict[str, tuple[Callable[[], Day], set[tuple[str, str]]]] = {
    "a NaN": (
        lambda: DAY.with_row(CARRIED, embedding=[float("nan"), *vector_of(CARRIED)[1:]]),
        of_snapshot("finite", "unit_norm", "coverage_6_to_20"),
    ),
    "a zero vector": (
        lambda: DAY.with_row(CARRIED, embedding=[0.0] * DIMENSION),
        of_snapshot("unit_norm", "coverage_6_to_20"),
    ),
    "a norm of 1.1": (
        lambda: DAY.with_row(CARRIED, embedding=[1.1 * value for value in vector_of(CARRIED)]),
        of_snapshot("unit_norm"),
    ),
    "a norm of 1.1 today": (
        lambda: DAY.with_row(0, embedding=[1.1 * value for value in vector_of(0)]),
        both("unit_norm"),
    ),
    "another dimension": (
        lambda: DAY.with_row(CARRIED, embedding=unit(np.array(vector_of(CARRIED)[1:])).tolist()),
        of_snapshot("dimension", "coverage_6_to_20"),
    ),
    "a null vector": (
        lambda: DAY.with_row(CARRIED, embedding=None),
        of_snapshot("no_nulls", "dimension", "unit_norm", "coverage_6_to_20"),
    ),
    "a null beside the vector": (
        lambda: DAY.with_row(CARRIED, last_event_time=None),
        of_snapshot("no_nulls"),
    ),
    "a key twice": (
        lambda: replace(DAY, staged=[*DAY.staged, DAY.staged[CARRIED]]),
        of_snapshot("row_count", "keys_unique"),
    ),
    "a user is missing": (
        # Nobody carried this user, so today's rows lack it as well.
        lambda: without(CARRIED),
        both("row_count", "missing_rows", "coverage_6_to_20"),
    ),
    "a user too many": (
        lambda: replace(DAY, staged=[*DAY.staged, {**DAY.staged[CARRIED], "user_id": "stranger", "fingerprint": "old-150"}]),
        of_snapshot("row_count", "extra_rows"),
    ),
    "a hole in one bucket": (
        lambda: replace(DAY, staged=[row for row in DAY.staged if row["history_len"] != 30]),
        both("row_count", "missing_rows", "coverage_21_or_more"),
    ),
    "a row of another run": (lambda: DAY.with_row(CARRIED, run_id="run-9"), of_snapshot("one_run")),
    "a row of another day": (lambda: DAY.with_row(CARRIED, ds=BEFORE), of_snapshot("one_run")),
    "today's vectors near one point": (
        lambda: first_day(with_vectors_today(near_one_point())),
        {(TODAY, "effective_rank"), (TODAY, "first_component_share"), (TODAY, "mean_cosine")},
    ),
    "today's vectors near one line": (
        lambda: first_day(with_vectors_today(near_one_line())),
        {(TODAY, "effective_rank"), (TODAY, "first_component_share")},
    ),
    "today's vectors all equal": (
        lambda: first_day(with_vectors_today(np.tile(unit(np.ones(DIMENSION)), (CHANGED, 1)))),
        {(TODAY, "effective_rank"), (TODAY, "first_component_share"), (TODAY, "mean_cosine"), *both("duplicates")},
    ),
    "a carried vector changed": (lambda: DAY.with_row(CARRIED, embedding=vector_of(0)), of_snapshot("cosine_unchanged")),
    "new events ignored": (lambda: with_vectors_today(as_yesterday()), both("cosine_changed")),
    "vectors of nobody's past": (lambda: with_vectors_today(scattered()), both("cosine_changed")),
}


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda name: name.replace(" ", "_"))
def test_a_corruption_fails_its_rules_and_no_other(spark: SparkSession, tmp_path: Path, corruption: str) -> None:
    corrupted, rules = CORRUPTIONS[corruption]
    verdict = check(spark, corrupted(), tmp_path)
    assert failed(verdict) == rules, verdict.failures_in_words()
    assert not verdict.passed
    assert verdict.docs.is_file()


def test_a_good_day_passes_and_every_rule_is_judged_in_both_frames(spark: SparkSession, tmp_path: Path) -> None:
    verdict = check(spark, DAY, tmp_path)
    assert verdict.passed, verdict.failures_in_words()
    assert verdict.failures_in_words() == ""
    assert verdict.rows == USERS
    rules = {frame: {r.rule for r in verdict.rules if r.frame == frame} for frame in (TODAY, SNAPSHOT)}
    assert rules[SNAPSHOT] - rules[TODAY] == {"schema", "one_run"}
    # No user encoded today kept the fingerprint of yesterday.
    assert [(r.frame, r.rule) for r in verdict.with_status(gate.NOT_APPLICABLE)] == [(TODAY, "cosine_unchanged")]


def test_failures_name_the_rows_and_the_figures(spark: SparkSession, tmp_path: Path) -> None:
    day = without(CARRIED).with_row(3, embedding=[1.1 * value for value in vector_of(3)])
    words = check(spark, day, tmp_path).failures_in_words()
    assert f"rule unit_norm, frame encoded_today: observed 1 of 80 rows outside: {user(3)} (1.1), expected 0.999 to 1.001, because" in words
    assert f"rule missing_rows, frame snapshot: observed 1: {user(CARRIED)}, expected exactly 0, because" in words


def test_without_a_previous_snapshot_drift_is_not_applicable_and_says_why(spark: SparkSession, tmp_path: Path) -> None:
    verdict = check(spark, first_day(DAY), tmp_path)
    assert verdict.passed
    absent = {(r.frame, r.rule): r.observed for r in verdict.with_status(gate.NOT_APPLICABLE)}
    assert absent == dict.fromkeys(both("cosine_unchanged", "cosine_changed"), "no previous published snapshot in this space")


def test_an_empty_frame_fails_where_users_are_expected(spark: SparkSession, tmp_path: Path) -> None:
    verdict = check(spark, replace(DAY, staged=[]), tmp_path)
    always = ("row_count", "missing_rows", "finite", "unit_norm")
    buckets = ("coverage_1", "coverage_2_to_5", "coverage_6_to_20", "coverage_21_or_more")
    assert failed(verdict) == both(*always, *buckets)
    assert verdict.rows == 0


def test_an_empty_frame_passes_where_nobody_is_expected_and_shows_what_was_not_judged(spark: SparkSession, tmp_path: Path) -> None:
    verdict = check(spark, Day(staged=[], expected=[], previous=None), tmp_path)
    assert verdict.passed, verdict.failures_in_words()
    passed = {r.rule for r in verdict.with_status(gate.PASSED)}
    assert passed == {"schema", "one_run", "row_count", "missing_rows", "extra_rows", "finite", "unit_norm"}


def test_a_day_without_a_row_encoded_today_passes(spark: SparkSession, tmp_path: Path) -> None:
    """Everybody was carried: nothing is expected in the frame of today, and nothing there is judged by its emptiness."""
    carried = DAY.with_rows(range(CHANGED), encoded_ds=BEFORE)
    verdict = check(spark, carried, tmp_path)
    assert verdict.passed, verdict.failures_in_words()
    absent = {r.rule for r in verdict.with_status(gate.NOT_APPLICABLE) if r.frame == TODAY}
    assert {"keys_unique", "dimension", "effective_rank", "duplicates", "coverage_1"} <= absent


def test_another_type_fails_the_schema_and_all_that_always_applies(spark: SparkSession, tmp_path: Path) -> None:
    ddl = CONTRACTS[names.INTEREST_EMBEDDINGS_STAGED].ddl.replace("array<float>", "array<double>")
    verdict = check(spark, replace(DAY, ddl=ddl), tmp_path)
    always = both("row_count", "missing_rows", "extra_rows", "finite", "unit_norm")
    assert failed(verdict) == {(SNAPSHOT, "schema")} | always
    assert "observed 1: embedding is array<double>, not array<float>" in verdict.failures_in_words()
    assert verdict.docs.is_file()


@pytest.mark.parametrize("side", ["staged", "previous"])
def test_rows_of_another_space_are_an_error_that_names_both(spark: SparkSession, tmp_path: Path, side: str) -> None:
    rows = [{**row, "space_id": "space-b"} if i == 7 else row for i, row in enumerate(getattr(DAY, side))]
    with pytest.raises(SpaceMixError, match=f"{side} rows of space space-b met a gate of space {SPACE}"):
        check(spark, replace(DAY, **{side: rows}), tmp_path)


def test_days_do_not_overwrite_each_others_docs(spark: SparkSession, tmp_path: Path) -> None:
    empty = Day(staged=[], expected=[], previous=None).frames(spark)
    days = (DS, DS + dt.timedelta(days=1))
    first, second = (gate.check_interests(spark, **empty, space_id=SPACE, ds=ds, dimension=2, docs_dir=tmp_path) for ds in days)
    assert first.docs != second.docs
    assert first.docs.is_file()
    index = (tmp_path / "index.html").read_text()
    assert all(verdict.docs.relative_to(tmp_path).as_posix() in index for verdict in (first, second))
