import numpy as np
import pytest

from karma.evaluation.spectrum import Moments, spectrum


def test_orthogonal_directions_in_equal_shares() -> None:
    found = spectrum(np.repeat(np.eye(4, dtype=np.float32), 5, axis=0))

    assert found.vectors == 20
    assert found.effective_rank == pytest.approx(4)
    assert found.first_component_share == pytest.approx(1 / 4)
    assert found.mean_cosine == pytest.approx(20 * 4 / (20 * 19))  # every row has 4 equal ones among the 19 others


def test_one_point() -> None:
    found = spectrum(np.tile(np.array([3.0, 4.0], np.float32), (7, 1)))

    assert found.effective_rank == pytest.approx(1, abs=1e-5)
    assert found.first_component_share == pytest.approx(1)
    assert found.mean_cosine == pytest.approx(1)


def test_uneven_shares_by_hand() -> None:
    # Nine rows along x and one along y: singular values 3 and 1, shares 3/4 and 1/4.
    rows = np.array([[1.0, 0.0]] * 9 + [[0.0, 1.0]])

    found = spectrum(rows)

    assert found.effective_rank == pytest.approx((3 / 4) ** -(3 / 4) * (1 / 4) ** -(1 / 4))
    assert found.first_component_share == pytest.approx(9 / 10)
    assert found.mean_cosine == pytest.approx(9 * 8 / (10 * 9))


def test_agrees_with_the_singular_values_and_all_pairs() -> None:
    rows = np.random.default_rng(0).normal(0.3, 1, (40, 8)).astype(np.float32)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    shares = (values := np.linalg.svd(units, compute_uv=False)) / values.sum()
    cosines = units @ units.T

    found = spectrum(rows)

    assert found.effective_rank == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-5)
    assert found.mean_cosine == pytest.approx(cosines[~np.eye(40, dtype=bool)].mean(), abs=1e-6)


def test_parts_join_to_the_whole() -> None:
    rows = np.random.default_rng(1).normal(size=(30, 5))

    joined = (Moments.of(rows[:10]) + Moments.of(rows[10:])).spectrum()
    whole = spectrum(rows)

    assert joined.vectors == 30
    assert joined.effective_rank == pytest.approx(whole.effective_rank)
    assert joined.mean_cosine == pytest.approx(whole.mean_cosine)


@pytest.mark.parametrize("rows", [np.ones((1, 3)), np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [np.nan, 1.0]])])
def test_refuses_what_has_no_spectrum(rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"at least two|zero or not finite"):
        spectrum(rows)
