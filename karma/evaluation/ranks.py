"""Ranks of held-out targets among a whole corpus, and the share of them that a list of K would have shown.

Ties count against the model: an encoder that gives every item the same vector must not look good because its ties fell well.
"""

import numpy as np
import numpy.typing as npt

CUTOFFS = (10, 50, 200)
FEWEST_JUDGED = 200
"""Targets below which a slice is shown, not judged."""

Scores = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def rank_of_target(scores: Scores, target: npt.NDArray[np.int64], masked: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.int64]:
    """Rank of each row's target, counted from 1, with ties broken pessimistically.

    rank = 1 + number of *other* candidates that are not masked and whose score is at least the target's. A NaN never helps: it
    counts as at least the target's, on either side. The target itself is always a candidate, masked or not.

    Args:
        scores: float32 [n, items], higher is better. Half precision is refused, since it makes ties that are not there in fp32.
        target: int [n], the column of each row's target.
        masked: bool [n, items], True where an item is no candidate for that row (items already seen, say); None masks nothing.

    Returns:
        int64 [n].

    Raises:
        ValueError: the shapes do not fit, a target is no column, or the scores are below single precision.
    """
    _check_scores(scores, target, masked)
    rows = np.arange(len(scores))
    ahead = ~(scores < scores[rows, target][:, None])
    if masked is not None:
        ahead &= ~masked
    ahead[rows, target] = False
    ranks: npt.NDArray[np.int64] = 1 + np.count_nonzero(ahead, axis=1).astype(np.int64)
    return ranks


def hit_rate(ranks: npt.NDArray[np.int64], k: int, corpus_size: int) -> float | None:
    """HR@K: the share of targets with rank <= k. None ("n/a") where k >= corpus_size, when every list is a hit, or without targets.

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if k >= corpus_size or not len(ranks):
        return None
    return float(np.mean(ranks <= k))


def _check_scores(scores: Scores, target: npt.NDArray[np.int64], masked: npt.NDArray[np.bool_] | None) -> None:
    if scores.ndim != 2 or target.shape != scores.shape[:1]:
        raise ValueError(f"scores must be [n, items] and target [n], got {scores.shape} and {target.shape}")
    if scores.dtype not in (np.float32, np.float64):
        raise ValueError(f"scores must be float32, got {scores.dtype}")
    if masked is not None and masked.shape != scores.shape:
        raise ValueError(f"masked must have the shape of scores, got {masked.shape} and {scores.shape}")
    if len(target) and (target.min() < 0 or target.max() >= scores.shape[1]):
        raise ValueError(f"a target is outside the corpus of {scores.shape[1]} items")
