import numpy as np
import pytest

from karma.evaluation.bootstrap import hit_difference, paired_difference, weighted_mean_interval


def test_interval_of_a_mean_is_close_to_the_normal_one() -> None:
    rng = np.random.default_rng(1)
    difference = rng.normal(0.1, 1.0, 2_000)
    half_width = 1.96 * difference.std() / np.sqrt(2_000)

    found = paired_difference(difference, np.zeros(2_000), seed=0)

    assert found.mean == pytest.approx(difference.mean())
    assert found.low == pytest.approx(difference.mean() - half_width, abs=0.004)
    assert found.high == pytest.approx(difference.mean() + half_width, abs=0.004)


def test_pairing_removes_what_users_share() -> None:
    rng = np.random.default_rng(2)
    users = rng.normal(0, 10, 300)

    found = paired_difference(users + 0.1 + rng.normal(0, 0.1, 300), users, seed=0)

    assert found.above_zero
    assert found.high - found.low < 0.05


def test_same_seed_same_interval() -> None:
    hits = np.random.default_rng(3).random((2, 200)).round()

    assert paired_difference(hits[0], hits[1], seed=5) == paired_difference(hits[0], hits[1], seed=5)
    assert paired_difference(hits[0], hits[1], seed=5) != paired_difference(hits[0], hits[1], seed=6)


def test_equal_arms_differ_by_nothing() -> None:
    found = paired_difference([0, 1, 1], [0, 1, 1], seed=0)

    assert (found.mean, found.low, found.high, found.above_zero) == (0.0, 0.0, 0.0, False)


def test_hits_are_resampled_as_any_figures_are() -> None:
    rng = np.random.default_rng(6)
    ours, theirs = rng.random(400) < 0.5, rng.random(400) < 0.3
    fast, plain = hit_difference(ours, theirs, seed=0), paired_difference(ours.astype(float), theirs.astype(float), seed=0)
    assert (fast.mean, fast.users) == (pytest.approx(plain.mean), plain.users)
    assert (fast.low, fast.high) == pytest.approx((plain.low, plain.high), abs=0.005)  # two draws of users: a user is .0025
    assert hit_difference(theirs, ours, seed=0).mean == -fast.mean
    assert hit_difference(ours, ours, seed=0).holds_zero
    with pytest.raises(ValueError, match="two or more users"):
        hit_difference([True], [False], seed=0)


def test_a_weighted_mean_keeps_each_group_with_its_weight() -> None:
    """Two groups, weights 3 and 1: draws of one twice give 1 or 0, the others 3/4; none can give what a weight of the other would."""
    assert weighted_mean_interval([1.0, 0.0], [3, 1], seed=0) == (0.0, 1.0)
    low, high = weighted_mean_interval([1.0, 0.0], [3, 1], seed=0, confidence=0.4)
    assert (low, high) == (0.75, 0.75), "the middle half of the draws holds both groups"


def test_equal_weights_give_the_interval_of_the_plain_mean() -> None:
    values = np.random.default_rng(4).random(300)
    low, high = weighted_mean_interval(values, np.full(300, 7), seed=0)
    half_width = 1.96 * values.std() / np.sqrt(300)
    assert (low, high) == pytest.approx((values.mean() - half_width, values.mean() + half_width), abs=0.004)


def test_one_group_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two or more groups"):
        weighted_mean_interval([0.5], [3], seed=0)


@pytest.mark.parametrize(("a", "b"), [([1.0], [0.0]), ([1.0, 2.0], [1.0]), ([1.0, np.nan], [0.0, 0.0]), ([[1.0, 2.0]], [[1.0, 2.0]])])
def test_refuses_what_is_not_paired(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match=r"same two or more users|not finite"):
        paired_difference(a, b, seed=0)
