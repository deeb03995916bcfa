import math

import numpy as np
import pytest

from karma.evaluation import uniformity as module
from karma.evaluation.uniformity import uniformity


def test_one_point_and_two_antipodes() -> None:
    assert uniformity(np.ones((5, 3))) == pytest.approx(0)
    assert uniformity(np.array([[2.0, 0.0], [-1.0, 0.0]])) == pytest.approx(-2 * 2**2)


def test_three_vectors_by_hand() -> None:
    # Squared distances: 2 between orthogonal ones, 4 between opposite ones.
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])

    assert uniformity(rows) == pytest.approx(math.log((2 * math.exp(-4) + math.exp(-8)) / 3))


def test_agrees_with_a_loop_over_pairs_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 7)
    rows = np.random.default_rng(0).normal(0.2, 1, (23, 5)).astype(np.float32)
    units = [row / math.sqrt(sum(float(x) ** 2 for x in row)) for row in rows]
    kernels = [math.exp(-2 * float(((units[i] - units[j]) ** 2).sum())) for i in range(23) for j in range(i + 1, 23)]

    assert uniformity(rows) == pytest.approx(math.log(sum(kernels) / len(kernels)))


@pytest.mark.parametrize("rows", [np.ones((1, 3)), np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [np.nan, 1.0]])])
def test_refuses_what_has_no_pairs(rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"at least two|zero or not finite"):
        uniformity(rows)
