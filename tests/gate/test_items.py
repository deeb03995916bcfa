"""check_items: each corruption of one staged row fails exactly its rules. The rules on rows and counts are those of every gate."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from jobs import gate
from jobs.errors import SpaceMixError
from schemas import names
from schemas.contracts import CONTRACTS
from schemas.gate_rules import ITEM_RULES, ItemRules
from tests.gate.days import DIMENSION, DS, SPACE, Row, frame, unit

ITEMS = 60
VECTORS = unit(np.random.default_rng(4).normal(size=(ITEMS, DIMENSION)))
ROWS: list[Row] = [
    {"content_hash": f"h{i:02d}", "space_id": SPACE, "run_id": "run-1", "embedding": vector.tolist()} for i, vector in enumerate(VECTORS)
]


CONTENTS = "content_hash string, title string, category string, image_sha256 string"


def content(row: Row, title: str | None = None) -> Row:
    return {"content_hash": row["content_hash"], "title": title or f"title {row['content_hash']}", "category": None, "image_sha256": None}


def check(
    spark: SparkSession, rows: list[Row], docs_dir: Path, rules: ItemRules = ITEM_RULES, ds: dt.date = DS, title: str | None = None
) -> gate.Verdict:
    return gate.check_items(
        spark,
        staged=frame(spark, rows, CONTRACTS[names.ITEM_EMBEDDINGS_STAGED].ddl),
        contents=frame(spark, [content(row, title) for row in ROWS], CONTENTS),
        space_id=SPACE,
        dimension=DIMENSION,
        docs_dir=docs_dir,
        ds=ds,
        rules=rules,
    )


def failed(verdict: gate.Verdict) -> set[str]:
    return {result.rule for result in verdict.with_status(gate.FAILED)}


def with_seventh(**values: Any) -> list[Row]:
    return [{**row, **values} if i == 7 else row for i, row in enumerate(ROWS)]


def with_vectors(vectors: np.ndarray) -> list[Row]:
    return [{**row, "embedding": vectors[i].tolist()} for i, row in enumerate(ROWS)]


CORRUPTIONS: dict[str, tuple[Callable[[], list[Row]], set[str]]] = {
    "a NaN": (lambda: with_seventh(embedding=[float("nan"), *VECTORS[7][1:].tolist()]), {"finite", "unit_norm"}),
    "an infinity": (lambda: with_seventh(embedding=[float("inf"), *VECTORS[7][1:].tolist()]), {"finite", "unit_norm"}),
    "a zero vector": (lambda: with_seventh(embedding=[0.0] * DIMENSION), {"unit_norm"}),
    "a norm of 1.1": (lambda: with_seventh(embedding=(1.1 * VECTORS[7]).tolist()), {"unit_norm"}),
    "another dimension": (lambda: with_seventh(embedding=unit(VECTORS[7][1:]).tolist()), {"dimension"}),
    "a null vector": (lambda: with_seventh(embedding=None), {"no_nulls", "dimension", "unit_norm"}),
    "a null space": (lambda: with_seventh(space_id=None), {"no_nulls"}),
    "a key twice": (lambda: [*ROWS, ROWS[7]], {"row_count", "keys_unique"}),
    "a row is missing": (lambda: ROWS[:-1], {"row_count", "missing_rows"}),
    "a row too many": (lambda: [*ROWS, {**ROWS[7], "content_hash": "h99"}], {"row_count", "extra_rows"}),
    "a row of another run": (lambda: with_seventh(run_id="run-9"), {"one_run"}),
    "all equal": (
        lambda: with_vectors(np.tile(VECTORS[0], (ITEMS, 1))),
        {"duplicates", "effective_rank", "first_component_share", "mean_cosine"},
    ),
    "nothing": (list, {"row_count", "missing_rows", "finite", "unit_norm"}),
}


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda name: name.replace(" ", "_"))
def test_a_corruption_fails_its_rules_and_no_other(spark: SparkSession, tmp_path: Path, corruption: str) -> None:
    corrupted, rules = CORRUPTIONS[corruption]
    verdict = check(spark, corrupted(), tmp_path)
    assert failed(verdict) == rules, verdict.failures_in_words()
    assert not verdict.passed


def test_a_good_run_passes_and_a_threshold_can_be_overridden(spark: SparkSession, tmp_path: Path) -> None:
    assert check(spark, ROWS, tmp_path).passed
    stricter = replace(ITEM_RULES, effective_rank=replace(ITEM_RULES.effective_rank, minimum=33.0))
    verdict = check(spark, ROWS, tmp_path, stricter)
    assert failed(verdict) == {"effective_rank"}  # 32 dimensions have no rank of 33


@pytest.mark.parametrize(("title", "shared"), [("one title", False), (None, True)], ids=["equal_content", "content_that_differs"])
def test_equal_vectors_are_duplicates_where_what_was_read_differs(
    spark: SparkSession, tmp_path: Path, title: str | None, shared: bool
) -> None:
    rows = [{**row, "embedding": VECTORS[0].tolist()} if i < ITEMS // 3 else row for i, row in enumerate(ROWS)]
    assert ("duplicates" in failed(check(spark, rows, tmp_path, title=title))) is shared


def test_a_few_rows_are_not_judged_as_a_cloud(spark: SparkSession, tmp_path: Path) -> None:
    verdict = gate.check_items(
        spark,
        staged=frame(spark, ROWS[:2], CONTRACTS[names.ITEM_EMBEDDINGS_STAGED].ddl),
        contents=frame(spark, [content(row) for row in ROWS[:2]], CONTENTS),
        space_id=SPACE, dimension=DIMENSION, docs_dir=tmp_path, ds=DS,
    )  # fmt: skip
    assert verdict.passed
    absent = {r.rule: r.observed for r in verdict.with_status(gate.NOT_APPLICABLE)}
    needs = "2 rows with a usable vector, needs 50"
    assert absent == {"duplicates": "2 rows, needs 20", "effective_rank": needs, "first_component_share": needs, "mean_cosine": needs}


def test_a_row_of_another_space_is_an_error_that_names_both(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(SpaceMixError, match="space-b met a gate of space space-a"):
        check(spark, with_seventh(space_id="space-b"), tmp_path)
