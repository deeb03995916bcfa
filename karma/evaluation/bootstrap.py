"""Is the difference between two encoders more than luck of the users? Paired bootstrap over users."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

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
    interval = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=resamples,
        batch=max(1, _DRAWS_AT_ONCE // len(differences)),
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return PairedDifference(mean=float(differences.mean()), low=float(interval.low), high=float(interval.high), users=len(differences))
