import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from karma.evaluation.ranks import hit_rate, rank_of_target


def test_ties_count_against_the_model() -> None:
    scores = np.array([[0.5, 0.5, 0.5, 0.1], [0.9, 0.2, 0.3, 0.1]], np.float32)

    assert rank_of_target(scores, np.array([1, 0])).tolist() == [3, 1]


def test_masked_candidates_do_not_count_but_a_masked_target_does() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6]], np.float32)
    masked = np.array([[True, False, True, False]])

    assert rank_of_target(scores, np.array([2]), masked).tolist() == [2]


def test_nan_never_helps() -> None:
    scores = np.array([[np.nan, 0.8, 0.7], [0.1, np.nan, 0.7]], np.float32)

    assert rank_of_target(scores, np.array([0, 2])).tolist() == [3, 2]


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 8)), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    st.data(),
)
def test_equals_a_count_by_hand(scores: np.ndarray, data: st.DataObject) -> None:
    rows, items = scores.shape
    target = np.array(data.draw(st.lists(st.integers(0, items - 1), min_size=rows, max_size=rows)))
    masked = data.draw(hnp.arrays(bool, scores.shape))

    expected = [
        1 + sum(1 for j in range(items) if j != target[i] and not masked[i, j] and scores[i, j] >= scores[i, target[i]])
        for i in range(rows)
    ]

    assert rank_of_target(scores, target, masked).tolist() == expected


@pytest.mark.parametrize(
    ("scores", "target", "masked"),
    [
        (np.zeros((2, 3), np.float16), np.array([0, 1]), None),
        (np.zeros((2, 3), np.float32), np.array([0]), None),
        (np.zeros((2, 3), np.float32), np.array([0, 3]), None),
        (np.zeros((2, 3), np.float32), np.array([0, -1]), None),
        (np.zeros((2, 3), np.float32), np.array([0, 1]), np.zeros((2, 2), bool)),
    ],
)
def test_refuses_what_does_not_fit(scores: np.ndarray, target: np.ndarray, masked: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match=r"scores|target|masked"):
        rank_of_target(scores, target, masked)


def test_hit_rate_is_inclusive_and_not_applicable_at_corpus_size() -> None:
    ranks = np.array([1, 10, 11, 40], np.int64)

    assert hit_rate(ranks, 10, corpus_size=50) == 0.5
    assert hit_rate(ranks, 50, corpus_size=50) is None
    assert hit_rate(ranks, 49, corpus_size=50) == 1.0
    assert hit_rate(np.array([], np.int64), 10, corpus_size=50) is None
