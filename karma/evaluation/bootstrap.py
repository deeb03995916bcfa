"""Is the difference between two encoders more than luck of the users? Paired bootstrap over users."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]

JUDGED_USERS, JUDGED_SEEDS = 200, 3
"""A slice, or a difference, of fewer users is shown and not judged; so is a difference of arms over fewer seeds."""

_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Mean of (a - b) over users with its interval; both ends belong to the interval."""

    mean: float
    low: float
    high: float
    users: int

    @property
    def above_zero(self) -> bool:
        """True where the whole interval is above zero: a is better than b."""
        return self.low > 0

    @property
    def holds_zero(self) -> bool:
        """True where the users cannot tell a from b."""
        return self.low <= 0 <= self.high

    @property
    def brief(self) -> str:
        """Mean and interval alone."""
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"

    def __str__(self) -> str:
        return f"{self.brief} (n = {self.users})"


def paired_difference(
    a: npt.ArrayLike, b: npt.ArrayLike, *, seed: int, resamples: int = 10_000, confidence: float = 0.95
) -> PairedDifference:
    """Mean difference a - b over the same users, with a percentile interval from resampled users.

    Args:
        a: [n], one figure a user (1.0 where the target was hit, say); row i of ``a`` and of ``b`` is the same user.
        b: [n].
        seed: of the resampling: the same seed and figures give the same interval.

    Raises:
        ValueError: the shapes differ, there are fewer than two users, or a figure is not finite.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3.
    """
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    if np.shape(a) != np.shape(b) or differences.ndim != 1 or len(differences) < 2:
        raise ValueError(f"need two lists of the same two or more users, got shapes {np.shape(a)} and {np.shape(b)}")
    if not np.isfinite(differences).all():
        raise ValueError("a user's figure is not finite")
    low, high = _percentiles((differences,), np.mean, seed=seed, resamples=resamples, confidence=confidence)
    return PairedDifference(mean=float(differences.mean()), low=low, high=high, users=len(differences))


def hit_difference(a: npt.ArrayLike, b: npt.ArrayLike, *, seed: int, resamples: int = 10_000, confidence: float = 0.95) -> PairedDifference:
    """``paired_difference`` of hits, in a time that does not grow with the users.

    A difference of two hits is -1, 0 or 1, so a draw of users is one of three counts: multinomial, with the shares that were found.

    Args:
        a, b: bool [n], whether the user's target was hit.
        seed: of the resampling.

    Raises:
        ValueError: the shapes differ, there are fewer than two users, or a value is neither true nor false.
    """
    ours, theirs = np.asarray(a), np.asarray(b)
    if ours.shape != theirs.shape or ours.ndim != 1 or len(ours) < 2 or ours.dtype != bool or theirs.dtype != bool:
        raise ValueError(f"need two lists of hits of the same two or more users, got shapes {ours.shape} and {theirs.shape}")
    lost, level, gained = (int(np.sum(of)) for of in (theirs & ~ours, ours == theirs, ours & ~theirs))
    n = len(ours)
    draws = np.random.default_rng(seed).multinomial(n, np.array([lost, level, gained]) / n, size=resamples)
    low, high = np.quantile((draws[:, 2] - draws[:, 0]) / n, [(1 - confidence) / 2, (1 + confidence) / 2])
    return PairedDifference(mean=(gained - lost) / n, low=float(low), high=float(high), users=n)


def weighted_mean_interval(
    values: npt.ArrayLike, weights: npt.ArrayLike, *, seed: int, resamples: int = 10_000, confidence: float = 0.95
) -> tuple[float, float]:
    """Both ends of the percentile interval of ``sum_g w_g x_g / sum_g w_g``, from resampled groups; a group keeps its weight.

    Args:
        values, weights: [g], of two or more groups; weights are above zero.
        seed: of the resampling: the same seed and figures give the same interval.

    Raises:
        ValueError: the shapes differ, or there are fewer than two groups.
    """
    x, w = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    if x.shape != w.shape or x.ndim != 1 or len(x) < 2:
        raise ValueError(f"need a value and a weight of the same two or more groups, got shapes {x.shape} and {w.shape}")

    def mean(drawn: Floats, weighing: Floats, axis: int = -1) -> Floats:
        found: Floats = (drawn * weighing).sum(axis) / weighing.sum(axis)
        return found

    return _percentiles((x, w), mean, seed=seed, resamples=resamples, confidence=confidence)


def _percentiles(
    samples: tuple[Floats, ...], statistic: Callable[..., Any], *, seed: int, resamples: int, confidence: float
) -> tuple[float, float]:
    """The same rows of all ``samples`` are drawn together."""
    interval = stats.bootstrap(
        samples,
        statistic,
        paired=len(samples) > 1,
        n_resamples=resamples,
        batch=max(1, _DRAWS_AT_ONCE // len(samples[0])),
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)
