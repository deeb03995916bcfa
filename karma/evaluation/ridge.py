"""Ridge regression in closed form: what a linear map can read out of vectors.

Shapes: n rows, d dimensions, t targets.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PENALTIES = np.logspace(-6, 2, 17)
"""Candidates, as multiples of the mean squared singular value: the choice does not depend on the scale of the vectors."""


@dataclass(frozen=True, kw_only=True)
class Ridge:
    """``y = x weights + intercept``; weights float64 [d, t], intercept [t]."""

    weights: Floats
    intercept: Floats
    penalty: float

    @classmethod
    def fit(cls, x: npt.NDArray[np.floating], y: npt.NDArray[np.generic]) -> "Ridge":
        """Least squares of y [n, t] on x [n, d], ``|y - x W - b|^2 + penalty |W|^2``, the intercept not penalised.

        The penalty is one of PENALTIES, the one with the least generalised cross-validation error over all t together, so that two
        encoders with different spectra are each read as well as a linear map can.

        Raises:
            ValueError: x and y differ in rows, or there are fewer than three.

        Source: Golub, Heath and Wahba, Generalized Cross-Validation (Technometrics 1979).
        """
        if len(x) != len(y) or len(x) < 3:
            raise ValueError(f"need the same three or more rows, got {len(x)} and {len(y)}")
        x_mean, y_mean = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
        left, singular, right = np.linalg.svd(x - x_mean, full_matrices=False)
        centred = y - y_mean
        projected = left.T @ centred
        outside = float((centred**2).sum() - (projected**2).sum())
        candidates = PENALTIES * max(float((singular**2).mean()), np.finfo(np.float64).tiny)
        penalty = float(min(candidates, key=lambda candidate: _gcv(singular, projected, outside, len(x), candidate)))
        weights = right.T @ ((singular / (singular**2 + penalty))[:, None] * projected)
        return cls(weights=weights, intercept=y_mean - x_mean @ weights, penalty=penalty)

    def predict(self, x: npt.NDArray[np.floating]) -> Floats:
        """float64 [rows of x, t]."""
        predicted: Floats = x @ self.weights + self.intercept
        return predicted


def _gcv(singular: Floats, projected: Floats, outside: float, rows: int, penalty: float) -> float:
    """``n |y - H y|^2 / (n - tr H)^2``, H the hat matrix of the centred problem and 1 for the intercept."""
    kept = singular**2 / (singular**2 + penalty)
    error = outside + float((((1 - kept)[:, None] * projected) ** 2).sum())
    return rows * error / (rows - 1 - float(kept.sum())) ** 2 if rows - 1 > kept.sum() + 1e-9 else np.inf
