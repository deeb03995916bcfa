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


def near_one_line() -> np.ndarray:
    near_one_point = unit(np.ones(DIMENSION) + 0.05 * np.random.default_rng(5).normal(size=(CHANGED, DIMENSION)))
    return near_one_point * np.where(np.arange(CHANGED) % 2, 1, -1)[:, None]


def scattered() -> np.ndarray:
    return unit(np.random.default_rng(6).normal(size=(CHANGED, DIMENSION)))


def as_yesterday() -> np.ndarray:
    assert DAY.previous is not None
    return np.array([row["embedding"] for row in DAY.previous[:CHANGED]])


CORRUPTIONS: dict[str, tuple[Callable[[], Day], set[tuple[str, str]]]] = {
    "a user is missing": (
        # Nobody carried this user, so today's rows lack it as well.
        lambda: without(CARRIED),
        both("row_count", "missing_rows", "coverage_6_to_20"),
    ),
    "a hole in one bucket": (
        lambda: replace(DAY, staged=[row for row in DAY.staged if row["history_len"] != 30]),
        both("row_count", "missing_rows", "coverage_21_or_more"),
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


def test_every_bad_row_is_found_by_its_rule_and_named(spark: SparkSession, tmp_path: Path) -> None:
    """Single corruptions of rows are in test_items: the rules are the same. Here they must not hide each other."""
    day = DAY.with_row(3, embedding=[1.1 * value for value in vector_of(3)])
    day = day.with_row(101, embedding=[float("nan"), *vector_of(101)[1:]]).with_row(
        102, embedding=unit(np.array(vector_of(102)[1:])).tolist()
    )
    day = day.with_row(103, last_event_time=None).with_row(104, run_id="run-9").with_row(105, ds=BEFORE)
    stranger = {**day.staged[107], "user_id": "stranger"}
    verdict = check(
        spark, replace(day, staged=[row for row in day.staged if row["user_id"] != user(106)] + [day.staged[108], stranger]), tmp_path
    )
    observed = {(r.frame, r.rule): r.observed for r in verdict.with_status(gate.FAILED)}
    assert observed == {
        (TODAY, "row_count"): "80",
        (TODAY, "missing_rows"): f"1: {user(106)}",
        (TODAY, "unit_norm"): f"1 of 80 rows outside: {user(3)} (1.1)",
        (TODAY, "coverage_6_to_20"): "0.9524",  # user 106 is expected there beside 20 who are encoded
        (SNAPSHOT, "one_run"): f"2: {BEFORE} run-1, {DS} run-9",
        (SNAPSHOT, "row_count"): "201",
        (SNAPSHOT, "missing_rows"): f"1: {user(106)}",
        (SNAPSHOT, "extra_rows"): "1: stranger",
        (SNAPSHOT, "no_nulls"): f"1 of 201 rows outside: {user(103)} (1)",
        (SNAPSHOT, "keys_unique"): f"2 of 201 rows outside: {user(108)} (2), {user(108)} (2)",
        (SNAPSHOT, "dimension"): f"1 of 201 rows outside: {user(102)} (31)",
        (SNAPSHOT, "finite"): f"1 of 201 rows outside: {user(101)} (1)",
        (SNAPSHOT, "unit_norm"): f"2 of 201 rows outside: {user(3)} (1.1), {user(101)} (nan)",
        (SNAPSHOT, "coverage_2_to_5"): "0.98",  # user 101 of 50
        (SNAPSHOT, "coverage_6_to_20"): "0.96",  # users 102 and 106 of 50
    }
    assert (
        f"rule unit_norm, frame encoded_today: observed 1 of 80 rows outside: {user(3)} (1.1), expected 0.999 to 1.001, "
        "because readers take the dot product" in verdict.failures_in_words()
    )


def test_without_a_previous_snapshot_drift_is_not_applicable_and_says_why(spark: SparkSession, tmp_path: Path) -> None:
    """The vectors of today on one line: its two ends leave the mean cosine where it should be."""
    verdict = check(spark, first_day(with_vectors_today(near_one_line())), tmp_path)
    absent = {(r.frame, r.rule): r.observed for r in verdict.with_status(gate.NOT_APPLICABLE)}
    assert absent == dict.fromkeys(both("cosine_unchanged", "cosine_changed"), "no previous published snapshot in this space")
    assert failed(verdict) == {(TODAY, "effective_rank"), (TODAY, "first_component_share")}


def test_an_empty_frame_fails_where_users_are_expected(spark: SparkSession, tmp_path: Path) -> None:
    verdict = check(spark, replace(DAY, staged=[]), tmp_path)
    always = ("row_count", "missing_rows", "finite", "unit_norm")
    buckets = ("coverage_1", "coverage_2_to_5", "coverage_6_to_20", "coverage_21_or_more")
    assert failed(verdict) == both(*always, *buckets)
    assert verdict.rows == 0


def test_an_empty_frame_passes_where_nobody_is_expected(spark: SparkSession, tmp_path: Path) -> None:
    """What was not judged is shown as such; and the docs of two days lie beside each other."""
    empty = Day(staged=[], expected=[], previous=None).frames(spark)
    days = (DS, DS + dt.timedelta(days=1))
    verdicts = [gate.check_interests(spark, **empty, space_id=SPACE, ds=ds, dimension=2, docs_dir=tmp_path) for ds in days]
    for verdict in verdicts:
        assert verdict.passed, verdict.failures_in_words()
        passed = {r.rule for r in verdict.with_status(gate.PASSED)}
        assert passed == {"schema", "one_run", "row_count", "missing_rows", "extra_rows", "finite", "unit_norm"}
    index = (tmp_path / "index.html").read_text()
    assert [verdict.docs.relative_to(tmp_path).as_posix() in index for verdict in verdicts] == [True, True]
    assert verdicts[0].docs != verdicts[1].docs
    assert verdicts[0].docs.is_file()


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
