import numpy as np

from karma.packing import NO_ITEM_PLACE, UNKNOWN_PLACE, FlatHistories
from karma.token_kinds import ITEM, PADDING, QUERY_ONLY, UNKNOWN_ITEM

VECTORS = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


def flat() -> FlatHistories:
    return FlatHistories(
        places=np.array([0, UNKNOWN_PLACE, 1, NO_ITEM_PLACE]),
        event_types=np.array([5, 6, 7, 8]),
        queries=["q0", None, None, "q3"],
        offsets=np.array([0, 3, 3, 4]),
    )


def test_rows_become_one_rectangle_in_the_order_asked() -> None:
    batch = flat().batch(np.array([2, 0]), VECTORS)

    assert batch.kinds.tolist() == [[QUERY_ONLY, PADDING, PADDING], [ITEM, UNKNOWN_ITEM, ITEM]]
    assert batch.vectors.tolist() == [[[0, 0], [0, 0], [0, 0]], [[1, 2], [0, 0], [3, 4]]]
    assert batch.event_types.tolist() == [[8, 0, 0], [5, 6, 7]]
    assert batch.queries == [["q3", None, None], ["q0", None, None]]
    assert (batch.vectors.dtype, batch.kinds.dtype) == (np.float32, np.int64)


def test_the_rectangle_is_as_wide_as_its_longest_history() -> None:
    assert flat().lengths.tolist() == [3, 0, 1]
    assert flat().batch(np.array([1, 2]), VECTORS).kinds.shape == (2, 1)
    assert flat().batch(np.array([1]), VECTORS).kinds.shape == (1, 0)


def test_an_empty_history_beside_another_is_all_padding() -> None:
    batch = flat().batch(np.array([1, 2]), VECTORS)

    assert batch.kinds.tolist() == [[PADDING], [QUERY_ONLY]]
