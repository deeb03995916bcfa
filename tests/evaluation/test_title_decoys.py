import numpy as np
import pytest

from karma.evaluation.baselines import title_vectors
from karma.evaluation.title_decoys import title_found, title_lsa

WORDS = ["lamp", "mug", "jacket", "table", "clock", "chair", "spoon", "bottle"]
TITLES = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS if a < b < c] + [f"{a} {b}" for a in WORDS for b in WORDS if a < b]


def test_lsa_keeps_who_is_near_whom() -> None:
    """With as many directions as terms nothing is lost: cosines equal those of the TF-IDF rows."""
    exact = title_vectors(TITLES)

    placed = title_lsa(TITLES, seed=0, directions=10_000)

    assert placed @ placed.T == pytest.approx((exact @ exact.T).toarray(), abs=1e-6)


def test_lsa_has_the_directions_asked_for_and_zeros_without_a_word() -> None:
    placed = title_lsa([*TITLES, "?"], seed=0, directions=4)
    assert placed.shape == (len(TITLES) + 1, 4)
    assert np.linalg.norm(placed, axis=1) == pytest.approx([1.0] * len(TITLES) + [0.0])


@pytest.fixture(scope="module")
def titles() -> np.ndarray:
    return title_lsa(TITLES, seed=0)


def test_vectors_that_hold_the_title_find_it_and_others_do_not(titles: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    items = rng.integers(0, len(TITLES), 500)
    turned = titles[items] @ np.linalg.qr(rng.normal(size=(titles.shape[1],) * 2))[0]
    halves = slice(None, 300), slice(300, None)

    told = title_found(turned[halves[0]], items[:300], turned[halves[1]], items[300:], titles, seed=0, decoys=60)
    silent = rng.normal(size=(500, 16))
    guessed = title_found(silent[:300], items[:300], silent[300:], items[300:], titles, seed=0, decoys=60)

    assert told.mean() > 0.95
    assert guessed.mean() < 0.06, "chance is 1 in 61"


def test_a_title_that_is_often_next_does_not_hide_the_others(titles: np.ndarray) -> None:
    """Every other user takes item 0, whatever the vector says."""
    rng = np.random.default_rng(0)
    told = rng.integers(1, len(TITLES), 600)
    items = np.where(np.arange(600) % 2, 0, told)

    found = title_found(titles[told][:400], items[:400], titles[told][400:], told[400:], titles, seed=0, decoys=len(TITLES) - 1)

    assert found.mean() > 0.9


def test_equals_a_ranking_by_hand_with_the_same_decoys(titles: np.ndarray) -> None:
    """One-hot users of three kinds: the map sends each kind to the mean title of its items, less that of all. All others are decoys."""
    of_kind, kinds = np.array([3, 35, 80]), np.arange(30) % 3
    users, items = np.eye(3)[kinds], of_kind[kinds]
    far_from_all = np.eye(3)[[0, 1, 2, 0]]

    found = title_found(users, items, far_from_all, np.array([3, 35, 80, 5]), titles, seed=0, decoys=len(TITLES) - 1)

    near = titles @ (titles[of_kind] - titles[of_kind].mean(axis=0)).T
    first = [near[:, kind].argmax() == item for kind, item in zip([0, 1, 2, 0], [3, 35, 80, 5], strict=True)]
    assert found.tolist() == first == [True, True, True, False]


def test_equal_titles_are_no_decoys() -> None:
    """Every item but two has the target's title: as a decoy it would tie with the true one."""
    titles = title_lsa(["red lamp"] * 20 + ["blue mug", "green jacket"], seed=0)
    users, items = np.tile(np.eye(2), (20, 1)), np.array([0, 20] * 20)

    assert title_found(users, items, np.eye(2)[:1], np.array([3]), titles, seed=0, decoys=2).tolist() == [True]
    with pytest.raises(ValueError, match="only 2 items have another title"):
        title_found(users, items, np.eye(2)[:1], np.array([3]), titles, seed=0, decoys=3)
