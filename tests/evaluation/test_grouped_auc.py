import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma.evaluation.grouped_auc import grouped_auc


def test_by_hand_with_a_tie_and_unequal_weights() -> None:
    """a: clicked .9 and .4 against .4: one pair won, one tied. b: .1 against .2, .3: both lost."""
    found = grouped_auc([0.9, 0.4, 0.4, 0.1, 0.2, 0.3], [1, 1, 0, 1, 0, 0], list("aaabbb"))

    assert found.groups.tolist() == ["a", "b"]
    assert found.aucs == pytest.approx([(1 + 1 / 2) / 2, 0])
    assert found.value == pytest.approx((3 * 0.75 + 3 * 0) / 6)


def test_groups_weigh_their_impressions() -> None:
    found = grouped_auc([2, 1, 1, 2, 0, 0], [1, 0, 1, 0, 0, 0], [7, 7, 9, 9, 9, 9])

    assert found.impressions.tolist() == [2, 4]
    assert found.value == pytest.approx((2 * 1 + 4 * (2 / 3)) / 6)


def test_groups_of_one_class_are_dropped_and_counted() -> None:
    found = grouped_auc([1, 2, 3, 4, 5], [1, 1, 0, 0, 1], ["all", "all", "none", "both", "both"])

    assert (found.groups.tolist(), found.dropped, found.value) == (["both"], 2, 1.0)


def test_nothing_to_judge_is_none() -> None:
    assert grouped_auc([1.0], [1], ["a"]).value is None
    assert grouped_auc([], [], []).value is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([-1.5, 0.0, 0.25, 3.0]), st.booleans()), max_size=30))
def test_equals_the_pairs_counted_one_by_one(rows: list[tuple[str, float, bool]]) -> None:
    expected: dict[str, tuple[float, int]] = {}
    for group in sorted({name for name, _, _ in rows}):
        won = [s for name, s, c in rows if name == group and c]
        lost = [s for name, s, c in rows if name == group and not c]
        if won and lost:
            pairs = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in won for b in lost)
            expected[group] = pairs / (len(won) * len(lost)), len(won) + len(lost)

    found = grouped_auc([s for _, s, _ in rows], [c for _, _, c in rows], [name for name, _, _ in rows])

    assert found.groups.tolist() == list(expected)
    assert found.aucs == pytest.approx([auc for auc, _ in expected.values()])
    assert found.dropped == len({name for name, _, _ in rows}) - len(expected)
    if expected:
        assert found.value == pytest.approx(sum(auc * n for auc, n in expected.values()) / sum(n for _, n in expected.values()))


@pytest.mark.parametrize(("scores", "clicked", "groups"), [([1.0], [True, False], ["a", "a"]), ([np.nan, 1.0], [True, False], ["a", "a"])])
def test_refuses_what_has_no_order(scores: list[float], clicked: list[bool], groups: list[str]) -> None:
    with pytest.raises(ValueError, match=r"not finite|1 scores, 2 clicks"):
        grouped_auc(scores, clicked, groups)
