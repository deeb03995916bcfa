import numpy as np
import pytest

from karma.evaluation.bootstrap import paired_difference


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


@pytest.mark.parametrize(("a", "b"), [([1.0], [0.0]), ([1.0, 2.0], [1.0]), ([1.0, np.nan], [0.0, 0.0]), ([[1.0, 2.0]], [[1.0, 2.0]])])
def test_refuses_what_is_not_paired(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match=r"same two or more users|not finite"):
        paired_difference(a, b, seed=0)
