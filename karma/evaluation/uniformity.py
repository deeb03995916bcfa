"""How evenly a cloud of vectors covers the sphere: all pairs count, where a spectrum sees directions alone."""

import numpy as np
import numpy.typing as npt

_ROWS_AT_ONCE = 1024
_KERNEL = 2.0


def uniformity(vectors: npt.NDArray[np.floating]) -> float:
    """``log mean_{i < j} exp(-2 |x_i - x_j|^2)`` over the distinct pairs of [n, d] rows, each scaled to norm 1 first.

    0 where all are one point; the lower the better, never below -8 (two antipodes). The cost grows with n squared: pass a sample.

    Raises:
        ValueError: fewer than two rows, or a row is zero or not finite.

    Source: Wang and Isola, Understanding Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere
    (ICML 2020), equation 2 with t = 2, pairs of a row with itself left out.
    """
    if len(vectors) < 2:
        raise ValueError(f"uniformity needs at least two vectors, got {len(vectors)}")
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ValueError("a vector is zero or not finite")
    units = vectors / norms
    total = sum(_kernel_sum(units, start) for start in range(0, len(units), _ROWS_AT_ONCE))
    return float(np.log(total / (len(units) * (len(units) - 1) / 2)))


def _kernel_sum(units: npt.NDArray[np.float64], start: int) -> float:
    """Sum over the pairs (i, j), i < j, with i in the block that begins at ``start``; |x - y|^2 = 2 - 2 cos."""
    block = units[start : start + _ROWS_AT_ONCE]
    kernel = np.exp(-_KERNEL * (2 - 2 * (block @ units[start:].T)))
    return float(np.triu(kernel, k=1).sum())
