import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from karma.evaluation.title_overlap import js_at_k, title_token_sets

TITLES = ["Red lamp", "red LAMP, red!", "Blue lamp", "Green jacket", None, "Красная лампа"]


def test_tokens_are_sets_of_words_in_any_script() -> None:
    tokens = title_token_sets(TITLES)

    assert np.asarray(tokens.sum(axis=1)).ravel().tolist() == [2, 2, 2, 2, 0, 2]
    assert (tokens @ tokens.T).toarray()[0].tolist() == [2, 2, 1, 0, 0, 0]


def test_by_hand() -> None:
    # Target 0 is first and left out: the top 2 are items 2 (shares "lamp" of three words) and 3 (shares nothing).
    scores = np.array([[0.9, 0.1, 0.8, 0.7, 0.6, 0.5]], np.float32)

    assert js_at_k(scores, np.array([0]), title_token_sets(TITLES), 2) == pytest.approx([(1 / 3 + 0) / 2])


def test_a_hit_is_not_counted_as_semantics() -> None:
    tokens, target = title_token_sets(TITLES), np.array([0])
    hit, miss = (np.array([[best, 0, 0.5, 0.4, 0, 0]], np.float32) for best in (1, -1))

    assert js_at_k(hit, target, tokens, 2) == js_at_k(miss, target, tokens, 2)


def test_masked_items_are_no_candidates_and_a_short_list_has_its_own_mean() -> None:
    scores = np.zeros((1, 6), np.float32)
    masked = np.array([[False, False, True, True, True, True]])

    assert js_at_k(scores, np.array([0]), title_token_sets(TITLES), 5, masked) == pytest.approx([1.0])


def test_a_title_without_words_shares_none() -> None:
    assert js_at_k(np.zeros((1, 6), np.float32), np.array([4]), title_token_sets(TITLES), 3).tolist() == [0]


@given(st.data(), st.integers(1, 4), st.integers(2, 7))
def test_equals_sets_compared_one_by_one(data: st.DataObject, rows: int, items: int) -> None:
    titles = data.draw(st.lists(st.sampled_from(["a b", "b c d", "a", "", "d d"]), min_size=items, max_size=items))
    scores = data.draw(hnp.arrays(np.float32, (rows, items), elements=st.sampled_from([0.0, 0.5, 1.0])))
    target = np.array(data.draw(st.lists(st.integers(0, items - 1), min_size=rows, max_size=rows)))
    masked = data.draw(hnp.arrays(bool, (rows, items)))
    k = data.draw(st.integers(1, items - 1))

    def jaccard(a: str, b: str) -> float:
        one, other = set(a.split()), set(b.split())
        return len(one & other) / len(one | other) if one | other else 0.0

    expected = []
    for r in range(rows):
        candidates = [j for j in range(items) if j != target[r] and not masked[r, j]]
        top = sorted(candidates, key=lambda j: (-scores[r, j], j))[:k]
        expected.append(sum(jaccard(titles[j], titles[target[r]]) for j in top) / len(top) if top else 0.0)

    assert js_at_k(scores, target, title_token_sets(titles), k, masked) == pytest.approx(expected)


@pytest.mark.parametrize("k", [0, 6])
def test_refuses_a_list_as_long_as_the_corpus(k: int) -> None:
    with pytest.raises(ValueError, match="below the 6 items"):
        js_at_k(np.zeros((1, 6), np.float32), np.array([0]), title_token_sets(TITLES), k)
