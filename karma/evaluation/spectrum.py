"""The shape of a cloud of vectors: has it collapsed onto few directions, or onto one point?

Everything follows from three sums over the rows, so a cloud that fits no memory is judged from its partial sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """What the singular values of a cloud say.

    Attributes:
        vectors: rows judged.
        effective_rank: exp of the entropy of the singular values divided by their sum; 1 = one direction, dim = all alike.
            Source: Roy and Vetterli, The effective rank (EUSIPCO 2007).
        first_component_share: the largest squared singular value over the sum of all; 1 = one direction.
        mean_cosine: mean cosine of two different rows; 1 = one point, 0 = spread around the origin.
    """

    vectors: int
    effective_rank: float
    first_component_share: float
    mean_cosine: float


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Sums over the unit rows of a cloud; ``+`` joins two clouds.

    Attributes:
        count: rows.
        total: float64 [d], the sum of the rows.
        gram: float64 [d, d], the sum of the rows' outer products.
    """

    count: int
    total: npt.NDArray[np.float64]
    gram: npt.NDArray[np.float64]

    @classmethod
    def of(cls, vectors: npt.NDArray[np.floating]) -> Moments:
        """The moments of [n, d] rows, each scaled to norm 1 first. Raises ValueError on a row that is zero or not finite."""
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        if not (np.isfinite(norms).all() and (norms > 0).all()):
            raise ValueError("a vector is zero or not finite")
        units = vectors / norms
        return cls(count=len(units), total=units.sum(axis=0), gram=units.T @ units)

    def __add__(self, other: Moments) -> Moments:
        return Moments(count=self.count + other.count, total=self.total + other.total, gram=self.gram + other.gram)

    def spectrum(self) -> Spectrum:
        """The spectrum of the cloud, not centred. Raises ValueError for fewer than two rows."""
        if self.count < 2:
            raise ValueError(f"a spectrum needs at least two vectors, got {self.count}")
        shares = self.singular_shares()
        pairs = self.count * (self.count - 1)
        return Spectrum(
            vectors=self.count,
            effective_rank=_effective_rank(shares),
            first_component_share=float(shares[0] ** 2 / (shares**2).sum()),
            mean_cosine=float((self.total @ self.total - self.count) / pairs),
        )

    def singular_shares(self) -> npt.NDArray[np.float64]:
        """The singular values of the cloud, not centred, as shares of their sum, largest first: float64 [d]."""
        values = np.sqrt(np.clip(np.linalg.eigvalsh(self.gram), 0, None))[::-1]
        shares: npt.NDArray[np.float64] = values / values.sum()
        return shares


def spectrum(vectors: npt.NDArray[np.floating]) -> Spectrum:
    """The spectrum of [n, d] rows, each scaled to norm 1 first. Raises ValueError: see ``Moments``."""
    return Moments.of(vectors).spectrum()


def _effective_rank(shares: npt.NDArray[np.float64]) -> float:
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))
