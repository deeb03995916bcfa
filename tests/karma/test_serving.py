"""Serving: unit rows that depend on nothing but their own history or item, and a defined token for whatever is missing."""

import numpy as np
import pytest

from karma.serving import ServingEncoder
from karma.token_kinds import ITEM, PADDING, QUERY_ONLY, UNKNOWN_ITEM
from tests.karma.conftest import Planted

Histories = tuple[np.ndarray, np.ndarray, np.ndarray, list[list[str | None]]]


@pytest.fixture(scope="module")
def encoder(planted: Planted) -> ServingEncoder:
    return planted.encoder


def random_histories(encoder: ServingEncoder, lengths: list[int], seed: int = 0) -> Histories:
    random = np.random.default_rng(seed)
    shape = (len(lengths), max(lengths))
    vectors = random.normal(size=(*shape, encoder.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    kinds = random.choice([ITEM, UNKNOWN_ITEM, QUERY_ONLY], size=shape)
    kinds[np.arange(shape[1]) >= np.array(lengths)[:, None]] = PADDING
    words = ["red wool", "drill", None]
    queries = [[words[random.integers(3)] for _ in range(length)] for length in lengths]
    return vectors, kinds, random.integers(0, 6, shape), queries


def pad(histories: Histories, length: int) -> Histories:
    vectors, kinds, types, queries = histories
    more = length - kinds.shape[1]
    return np.pad(vectors, ((0, 0), (0, more), (0, 0))), np.pad(kinds, ((0, 0), (0, more))), np.pad(types, ((0, 0), (0, more))), queries


def test_a_row_depends_on_neither_padding_nor_batch(encoder: ServingEncoder) -> None:
    lengths = [8, 1, 3, 5, 2]
    histories = random_histories(encoder, lengths)
    together = encoder.encode_histories(*histories)
    padded = encoder.encode_histories(*pad(histories, 40))
    alone = []
    for row, length in enumerate(lengths):
        vectors, kinds, types, queries = histories
        alone.append(
            encoder.encode_histories(
                vectors[row : row + 1, :length], kinds[row : row + 1, :length], types[row : row + 1, :length], queries[row : row + 1]
            )[0]
        )
    assert np.abs(together - padded).max() < 1e-5
    assert np.abs(together - np.stack(alone)).max() < 1e-5
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(len(lengths)), abs=1e-5)


def test_what_stands_in_padding_is_not_read(encoder: ServingEncoder) -> None:
    vectors, kinds, types, queries = random_histories(encoder, [8, 3])
    dirty = vectors.copy()
    dirty[kinds != ITEM] = 7.0
    expected = encoder.encode_histories(vectors, kinds, types, queries)
    assert np.array_equal(expected, encoder.encode_histories(dirty, kinds, types, queries))


def test_order_queries_event_types_and_unknown_items_are_read(encoder: ServingEncoder) -> None:
    vectors = random_histories(encoder, [3])[0]
    kinds, types, queries = np.full((1, 3), ITEM), np.zeros((1, 3), np.int64), [[None, None, None]]
    base = encoder.encode_histories(vectors, kinds, types, queries)
    others = [
        encoder.encode_histories(vectors[:, ::-1], kinds, types, queries),
        encoder.encode_histories(vectors, kinds, types + 1, queries),
        encoder.encode_histories(vectors, kinds, types, [[None, None, "wool"]]),
        encoder.encode_histories(vectors, np.array([[ITEM, ITEM, UNKNOWN_ITEM]]), types, queries),
    ]
    assert min(np.abs(base - other).max() for other in others) > 1e-4


@pytest.mark.parametrize("kind", [UNKNOWN_ITEM, QUERY_ONLY])
def test_a_history_without_any_known_item_has_a_unit_vector(encoder: ServingEncoder, kind: int) -> None:
    found = encoder.encode_histories(np.zeros((1, 1, encoder.dim), np.float32), np.array([[kind]]), np.zeros((1, 1), np.int64), [[None]])
    assert np.linalg.norm(found) == pytest.approx(1.0, abs=1e-5)


def test_histories_that_cannot_be_meant_are_refused(encoder: ServingEncoder) -> None:
    vectors, types = np.zeros((1, 9, encoder.dim), np.float32), np.zeros((1, 9), np.int64)
    with pytest.raises(ValueError, match="no event"):
        encoder.encode_histories(vectors, np.zeros((1, 9), np.int64), types, [[]])
    with pytest.raises(ValueError, match="newest 8"):
        encoder.encode_histories(vectors, np.ones((1, 9), np.int64), types, [[]])
    with pytest.raises(ValueError, match="after"):
        encoder.encode_histories(vectors[:, :2], np.array([[PADDING, ITEM]]), types[:, :2], [[]])
    assert encoder.encode_histories(vectors[:0], np.zeros((0, 9), np.int64), types[:0], []).shape == (0, encoder.dim)


def test_items_have_unit_vectors_whatever_is_missing(encoder: ServingEncoder) -> None:
    ids, texts = ["0-1", "never seen", "0-1", "0-1"], ["red wool", "red wool", "", "red wool"]
    visual = np.ones((4, 6), np.float32)
    found = encoder.encode_items(ids, texts, visual, np.array([True, True, False, False]))
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert len({row.tobytes() for row in found}) == 4


def test_features_without_a_picture_are_not_read(encoder: ServingEncoder) -> None:
    none = np.array([False])
    first = encoder.encode_items(["0-1"], ["red"], np.zeros((1, 6), np.float32), none)
    assert np.array_equal(first, encoder.encode_items(["0-1"], ["red"], np.ones((1, 6), np.float32), none))
    assert np.array_equal(first, encoder.encode_items(["0-1"], ["red"], np.zeros((1, 0), np.float32), none))
    with pytest.raises(ValueError, match="6 image features"):
        encoder.encode_items(["0-1"], ["red"], np.zeros((1, 5), np.float32), np.array([True]))


def test_event_types_that_training_did_not_name_share_one_number(encoder: ServingEncoder) -> None:
    assert encoder.event_type_ids(["query", "rating", "wink"]) == [0, 4, 5]
