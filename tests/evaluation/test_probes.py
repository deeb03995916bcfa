import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from karma.evaluation.probes import average_precision, halves, multi_hot, numbers_read, probe_labels
from karma.evaluation.ridge import PENALTIES, Ridge

RNG = np.random.default_rng(4)


def test_ridge_solves_the_normal_equations() -> None:
    x, y = RNG.normal(2, 1, (40, 5)), RNG.normal(size=(40, 3))

    found = Ridge.fit(x, y)

    a, b = x - x.mean(0), y - y.mean(0)
    assert found.weights == pytest.approx(np.linalg.solve(a.T @ a + found.penalty * np.eye(5), a.T @ b))
    assert found.predict(x).mean(0) == pytest.approx(y.mean(0))


@pytest.mark.parametrize("seed", range(20))
def test_the_penalty_has_the_least_cross_validation_error(seed: int) -> None:
    """Against the definition: the trace and the error of the hat matrix itself, intercept included."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(9, 2))
    a = x - x.mean(0)
    errors = []
    for penalty in PENALTIES * np.trace(a.T @ a) / 4:
        hat = a @ np.linalg.inv(a.T @ a + penalty * np.eye(4)) @ a.T + np.ones((9, 9)) / 9
        errors.append((9 * ((y - hat @ y) ** 2).sum() / (9 - np.trace(hat)) ** 2, penalty))

    assert Ridge.fit(x, y).penalty == pytest.approx(min(errors)[1])


def test_a_planted_map_is_found_whatever_the_scale() -> None:
    x = RNG.normal(size=(200, 6))
    y = x @ np.arange(12).reshape(6, 2) + 7

    for scale in (1e-4, 1.0, 1e4):
        assert Ridge.fit(x * scale, y).predict(x * scale) == pytest.approx(y, rel=1e-3, abs=1e-2)


def test_average_precision_by_hand() -> None:
    # Ranks of the positives: 1 and 3. With the first two tied, both enter at precision 1/2.
    assert average_precision(np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, True, False])) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([4.0, 4.0, 2.0, 1.0]), np.array([True, False, True, False])) == pytest.approx((1 / 2 + 2 / 3) / 2)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.booleans()), max_size=12), st.sampled_from([0.0, 1.0, 3.0]))
def test_average_precision_equals_a_walk_down_the_thresholds(others: list[tuple[float, bool]], of_a_positive: float) -> None:
    rows = [*others, (of_a_positive, True)]
    positives = sum(p for _, p in rows)
    expected, recall = 0.0, 0.0
    for threshold in sorted({s for s, _ in rows}, reverse=True):
        shown = [p for s, p in rows if s >= threshold]
        expected += (sum(shown) / positives - recall) * sum(shown) / len(shown)
        recall = sum(shown) / positives

    assert average_precision(np.array([s for s, _ in rows]), np.array([p for _, p in rows])) == pytest.approx(expected)


def test_labels_that_are_in_the_vectors_are_read_and_others_are_not() -> None:
    vectors = RNG.normal(size=(400, 8))
    planted, noise, rare = vectors[:, 0] > 0.3, RNG.random(400) < 0.4, np.arange(400) < 20

    found = probe_labels(vectors, np.stack([planted, noise, rare], 1), seed=0)

    assert found.labels.tolist() == [0, 1], "about ten positives of the rare one are in the measured half"
    assert found.average_precision[0] > 0.95
    assert found.average_precision[1] == pytest.approx(found.positive_share[1], abs=0.15)
    assert found.macro == pytest.approx(found.average_precision.mean())
    assert found.chance == pytest.approx((planted.mean() + noise.mean()) / 2, abs=0.08)


def r2(vectors: np.ndarray, numbers: np.ndarray, seed: int) -> float | None:
    """On the half that was not fitted."""
    fitted, measured = halves(len(vectors), seed)
    return numbers_read(vectors[fitted], numbers[fitted, None], vectors[measured], numbers[measured, None])


def test_r2_of_a_planted_number_and_of_noise() -> None:
    vectors = RNG.normal(size=(2000, 4))
    assert r2(vectors, vectors @ [1.0, 2.0, 0.0, 0.0] + 1990, seed=1) == pytest.approx(1, abs=1e-6)
    assert r2(vectors, vectors[:, 0] + RNG.normal(size=2000), seed=1) == pytest.approx(1 / 2, abs=0.07)
    assert r2(vectors, RNG.normal(size=2000), seed=1) == pytest.approx(0, abs=0.03)


def test_what_is_measured_was_not_fitted() -> None:
    fitted, measured = halves(101, seed=3)
    assert sorted([*fitted, *measured]) == list(range(101))
    read = r2(RNG.normal(size=(60, 55)), RNG.normal(size=60), seed=0)
    assert read is not None
    assert read < 0.3, "30 rows fit 55 dimensions exactly"


def test_category_paths_become_labels() -> None:
    names, hot = multi_hot(["Comedy|Drama", None, "drama > Comedy", "Home > Lamps"])
    assert names == ["comedy", "drama", "home", "lamps"]
    assert hot.astype(int).tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]]


def test_what_cannot_be_probed_is_refused() -> None:
    with pytest.raises(ValueError, match="six rows"):
        probe_labels(np.zeros((5, 2)), np.zeros((5, 1), bool), seed=0)
    assert r2(RNG.normal(size=(10, 2)), np.ones(10), seed=0) is None, "the numbers are all equal"
    with pytest.raises(ValueError, match="same three"):
        Ridge.fit(np.zeros((4, 2)), np.zeros((5, 1)))
    with pytest.raises(ValueError, match="positive"):
        average_precision(np.zeros(3), np.zeros(3, bool))
