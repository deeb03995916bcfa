import numpy as np
import pytest
import scipy.sparse as sp

from karma.evaluation.baselines import HeldOut, baseline_ranks, cooccurrence, title_vectors


def _held_out(histories: list[list[int]], titles: list[str], targets: dict[int, int], mask_seen: bool = True) -> HeldOut:
    return HeldOut(
        histories=[np.array(items, np.int64) for items in histories],
        titles=titles,
        users=np.array(list(targets), np.int64),
        targets=np.array(list(targets.values()), np.int64),
        mask_seen=mask_seen,
    )


def test_popularity_counts_events_and_masks_what_was_seen() -> None:
    data = _held_out([[0, 1], [0, 2], [0, 2, 3]], ["a", "b", "c", "d", "e"], {0: 3, 1: 1})

    # Events: 3, 1, 2, 1, 0. User 0 has not seen 2, 3, 4: item 3 is second. User 1 has not seen 1, 3, 4: items 1 and 3 tie.
    assert baseline_ranks(data)["popularity"].tolist() == [2, 2]


def test_cooccurrence_by_hand() -> None:
    # User 0 took items 0 and 1 (one of them twice), user 1 took 1 alone.
    weight_of_two, weight_of_one = 1 / np.log2(4), 1 / np.log2(3)

    found = cooccurrence(sp.csr_matrix(np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 0.0]]))).toarray()

    expected = weight_of_two / np.sqrt(weight_of_two * (weight_of_two + weight_of_one))
    assert found[0, 1] == pytest.approx(expected)
    assert found[1, 0] == pytest.approx(expected)
    assert np.count_nonzero(found) == 2


def test_co_prefers_the_partner_of_the_newest_item() -> None:
    pairs = [[0, 1]] * 4 + [[2, 3]] * 4
    data = _held_out([*pairs, [0, 2], [2, 0]], ["a", "b", "c", "d"], {8: 3, 9: 1})

    assert baseline_ranks(data)["co"].tolist() == [1, 1]


def test_titles_share_words_and_pieces_of_words() -> None:
    near = (rows := title_vectors(["Toy Story", "toy story 2", "toys", "Heat"])) @ rows.T

    assert near.diagonal() == pytest.approx(np.ones(4))
    assert near[0, 1] > near[0, 2] > 0
    assert near[0, 3] == 0


def test_a_title_without_words_is_near_nothing() -> None:
    near = (rows := title_vectors(["?", "heat", "heat 2"])) @ rows.T

    assert near.toarray()[0].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "titles",
    [
        ["Toy Story", "Heat", "Toy Story 2", "Casino"],
        [
            "\u041a\u0440\u0430\u0441\u043d\u044b\u0439 \u0447\u0430\u0439\u043d\u0438\u043a", "\u0414\u043e\u043c",
            "\u041a\u0440\u0430\u0441\u043d\u044b\u0439 \u0447\u0430\u0439", "\u0421\u0442\u043e\u043b",
        ],
    ],
    ids=["Latin", "Cyrillic"],
)  # fmt: skip
def test_text_ranks_the_sequel_first(titles: list[str]) -> None:
    data = _held_out([[0], [1]], titles, {0: 2})

    assert baseline_ranks(data)["text"].tolist() == [1]


def test_own_past_items_only_where_items_may_be_taken_again() -> None:
    histories = [[0, 0, 1], [2, 3]]

    assert "own past items" not in baseline_ranks(_held_out(histories, list("abcd"), {0: 3}))
    again = baseline_ranks(_held_out(histories, list("abcd"), {0: 1, 1: 0}, mask_seen=False))
    assert again["own past items"].tolist() == [2, 3]


def test_blocks_of_users_keep_their_order() -> None:
    rng = np.random.default_rng(0)
    histories = [rng.integers(0, 20, size=5).tolist() for _ in range(300)]
    targets = {user: int(rng.integers(0, 20)) for user in range(300)}
    whole = baseline_ranks(_held_out(histories, [f"t{i}" for i in range(20)], targets))

    for user in (0, 255, 256, 299):
        alone = baseline_ranks(_held_out(histories, [f"t{i}" for i in range(20)], {user: targets[user]}))
        assert {name: ranks[user] for name, ranks in whole.items()} == {name: ranks[0] for name, ranks in alone.items()}
