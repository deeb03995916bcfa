from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from karma.evaluation.cold_items import ScoreBlock, cold_margins, cold_ranks, offset_of_share, ranks_among_own_kind, ranks_with_offset

COLD = np.array([False, False, False, True, True, True])


def test_each_kind_is_ranked_without_the_other() -> None:
    scores = np.array([[0.5, 0.6, 0.1, 0.9, 0.8, 0.7]] * 2, np.float32)

    assert ranks_among_own_kind(ScoreBlock(scores=scores, target=np.array([0, 5])), COLD).tolist() == [2, 3]


def test_margins_by_hand() -> None:
    # Warm .9 .5 .2, cold .6 .3 .1. The first cold item enters the top 2 beyond .5 - .6, the second beyond .9 - .3.
    block = ScoreBlock(scores=np.array([[0.9, 0.2, 0.5, 0.3, 0.1, 0.6]], np.float32), target=np.array([0]))

    assert cold_margins(block, COLD, 2) == pytest.approx(np.array([[-0.1, 0.6]]))


def test_flooding_is_taken_back() -> None:
    """Cold items lie one above all warm ones, in the right order among themselves: raw they fill the list, at their share they do not."""
    rng = np.random.default_rng(0)
    cold = np.arange(40) < 10
    scores = rng.random((200, 40)).astype(np.float32) + cold
    target = rng.integers(0, 40, 200)
    scores[np.arange(200), target] = 0.999 + cold[target]
    blocks = [ScoreBlock(scores=scores[s : s + 64], target=target[s : s + 64]) for s in range(0, 200, 64)]

    found = cold_ranks(lambda: iter(blocks), cold, 10)

    assert (found.raw_share, found.share) == (1.0, 0.25)
    assert found.offset == pytest.approx(-1, abs=0.05)
    assert found.rates_at_share == {"warm": 1.0, "cold": pytest.approx(1.0, abs=0.2)}
    assert found.rates(10) == {"warm": 1.0, "cold": None}, "ten cold items: a list of ten shows them all"
    assert ranks_with_offset(blocks[0], cold, 0.0)[~cold[target[:64]]].min() > 10


@given(st.data(), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))
def test_counts_of_cold_items_equal_a_sort_at_every_offset(data: st.DataObject, rows: int, warm: int, cold_items: int) -> None:
    """At an offset that makes no ties, the margins below it are the cold items among the K best of a sorted list."""
    items = warm + cold_items
    cold = np.array(data.draw(st.permutations([False] * warm + [True] * cold_items)))
    scores = data.draw(hnp.arrays(np.float32, (rows, items), elements=st.integers(0, 6).map(float)))
    target = np.array(data.draw(st.lists(st.integers(0, items - 1), min_size=rows, max_size=rows)))
    masked = data.draw(hnp.arrays(bool, (rows, items)))
    k = data.draw(st.integers(1, items - 1))
    offset = data.draw(st.integers(-8, 8)) + 0.5

    margins = cold_margins(ScoreBlock(scores=scores, target=target, masked=masked), cold, k)

    for r in range(rows):
        candidates = [j for j in range(items) if not masked[r, j] or j == target[r]]
        best = sorted(candidates, key=lambda j: -(scores[r, j] + offset * cold[j]))[:k]
        assert (margins[r] < offset).sum() == sum(cold[j] for j in best)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 6)), elements=st.floats(-3, 3, width=32), unique=True), st.data())
def test_the_offset_is_what_a_bisection_finds(margins: np.ndarray, data: st.DataObject) -> None:
    cells = margins.size
    count = data.draw(st.integers(1, cells - 1))
    ordered = sorted(margins.ravel().tolist())
    assume(ordered[count] - ordered[count - 1] > 1e-6)
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (margins < middle).sum() < count else (low, middle)

    offset = offset_of_share(margins, count / cells)

    assert (margins < offset).sum() == count
    assert ordered[count - 1] < offset < ordered[count]
    assert (margins < high).sum() == count


def test_blocks_and_masks_change_nothing_but_the_memory() -> None:
    rng = np.random.default_rng(1)
    scores, target, cold = rng.random((90, 30)).astype(np.float32), rng.integers(0, 30, 90), np.arange(30) % 4 == 0
    masked = rng.random((90, 30)) < 0.2

    def blocks(at_once: int) -> Iterator[ScoreBlock]:
        parts = (slice(start, start + at_once) for start in range(0, 90, at_once))
        return (ScoreBlock(scores=scores[part], target=target[part], masked=masked[part]) for part in parts)

    whole, small = (cold_ranks(lambda at_once=n: blocks(at_once), cold, 5, 0.4) for n in (90, 7))
    assert whole.offset == small.offset
    assert whole.at_share.tolist() == small.at_share.tolist()
    assert whole.among_own_kind.tolist() == small.among_own_kind.tolist()
    assert whole.is_cold.tolist() == cold[target].tolist()


def test_what_cannot_be_compared_is_refused() -> None:
    block = ScoreBlock(scores=np.zeros((1, 3), np.float32), target=np.array([0]))
    with pytest.raises(ValueError, match="both kinds"):
        cold_ranks(lambda: [block], np.zeros(3, bool), 1)
    with pytest.raises(ValueError, match="below the 3 items"):
        cold_margins(block, np.array([True, False, False]), 3)
    with pytest.raises(ValueError, match="between 0 and 1"):
        offset_of_share(np.zeros((1, 2)), 1.0)
    with pytest.raises(ValueError, match="too few items of a kind"):
        offset_of_share(np.array([[0.0, np.inf, np.inf]]), 0.9)
