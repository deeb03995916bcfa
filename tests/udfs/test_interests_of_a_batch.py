"""What the interest UDF does to one Arrow batch, without Spark."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from karma.token_kinds import ITEM, QUERY_ONLY, UNKNOWN_ITEM
from tests.udfs.fake_encoder import DIM, FakeEncoder
from udfs.interest_udf import encode_interests
from udfs.item_vectors import ItemVectorsFile, MissingVectorsError

History = list[tuple[str | None, str, str | None]]
"""(content hash, event type, query) of each event."""


def hash_of(item: str) -> str:
    return hashlib.sha256(item.encode()).hexdigest()


VECTORS = {hash_of(item): np.eye(DIM, dtype=np.float32)[place] for place, item in enumerate("abcd")}
A, B, C = (hash_of(item) for item in "abc")


@pytest.fixture
def items(tmp_path: Path) -> ItemVectorsFile:
    rows = pa.array([row.tolist() for row in VECTORS.values()], pa.list_(pa.float32()))
    return ItemVectorsFile.open(*ItemVectorsFile.build(tmp_path, pa.array(list(VECTORS)), rows, DIM))


def expected(history: History) -> np.ndarray:
    """The fake encoder called with one history, its tokens written out."""
    kinds = [QUERY_ONLY if key is None else UNKNOWN_ITEM if key == "" else ITEM for key, _, _ in history]
    vectors = [VECTORS[key] if key else np.zeros(DIM, np.float32) for key, _, _ in history]
    types = FakeEncoder().event_type_ids([name for _, name, _ in history])
    row = FakeEncoder().encode_histories(np.array([vectors]), np.array([kinds]), np.array([types]), [[query for _, _, query in history]])
    return row[0]


def encode(items: ItemVectorsFile, histories: list[History], budget: int = 12) -> pd.DataFrame:
    def column(part: int) -> pd.Series:
        return pd.Series([np.array([event[part] for event in history], object) for history in histories], dtype=object)

    return encode_interests(FakeEncoder(), items, column(0), column(1), column(2), budget)  # type: ignore[arg-type]


HISTORIES: list[History] = [
    [(A, "click", None), (B, "purchase", None), (None, "query", "red shoe"), (C, "click", "red shoe")],
    [("", "click", None)],
    [(None, "query", "lamp"), (None, "query", None)],
    [("", "click", None), (A, "rating", None), ("", "click", "x")],
    [(B, "click", None)] * 30,
]


@pytest.mark.parametrize("budget", [1, 7, 12, 10_000])
def test_each_row_is_encoded_as_if_alone_and_in_its_place(items: ItemVectorsFile, budget: int) -> None:
    found = encode(items, HISTORIES, budget)

    for row, history in enumerate(HISTORIES):
        np.testing.assert_allclose(found["embedding"][row], expected(history), rtol=1e-5, atol=1e-6)


def test_tokens_and_padding_are_reported(items: ItemVectorsFile) -> None:
    found = encode(items, HISTORIES, budget=12)

    assert found["tokens"].tolist() == [4, 1, 2, 3, 30]
    assert found["padded_tokens"].tolist() == [4, 3, 3, 3, 30]  # 3 rows of 3 fit into 12, 4 of 4 do not


def test_an_empty_batch(items: ItemVectorsFile) -> None:
    assert len(encode(items, [])) == 0


def test_a_batch_without_any_item(items: ItemVectorsFile) -> None:
    histories: list[History] = [[(None, "query", "lamp")], [("", "click", None)]]

    found = encode(items, histories)

    np.testing.assert_allclose(found["embedding"][1], expected(histories[1]), rtol=1e-5, atol=1e-6)


def test_a_hash_without_vector_is_named(items: ItemVectorsFile) -> None:
    with pytest.raises(MissingVectorsError, match=hash_of("zebra")):
        encode(items, [[(A, "click", None), (hash_of("zebra"), "click", None)]])


def test_arrays_of_different_length_are_refused(items: ItemVectorsFile) -> None:
    column = pd.Series([np.array([A], object)], dtype=object)
    longer = pd.Series([np.array(["click", "click"], object)], dtype=object)

    with pytest.raises(ValueError, match="same length"):
        encode_interests(FakeEncoder(), items, column, longer, column, 12)  # type: ignore[arg-type]


def test_vectors_of_another_space_are_refused(tmp_path: Path) -> None:
    other = ItemVectorsFile.open(*ItemVectorsFile.build(tmp_path, pa.array([A]), pa.array([[1.0, 0.0]], pa.list_(pa.float32())), 2))

    with pytest.raises(ValueError, match="2 dimensions"):
        encode(other, [[(A, "click", None)]])
