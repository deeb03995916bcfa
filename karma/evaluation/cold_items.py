"""Cold items, ranked such that flooding does not look like skill.

An item that never was a negative in training drifts towards every user: raw hit rates then reward, or punish, its level and not its
order. So each target is ranked among items of its own kind, and a second time with a constant added to the score of every cold item,
the same for all, that gives cold items a fixed share of the top K.

Shapes: n rows, m items. Everything takes a block of rows, so memory stays bounded by the block and by n K margins.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from karma.evaluation.ranks import Scores, hit_rate, rank_of_target

Longs = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class ScoreBlock:
    """Scores of some users: float32 [b, m], each one's target int64 [b], and bool [b, m] or None: True where an item is no candidate."""

    scores: Scores
    target: Longs
    masked: Mask | None = None


@dataclass(frozen=True, kw_only=True)
class ColdRanks:
    """Ranks of n targets in three rankings of one encoder.

    Attributes:
        is_cold: bool [n], whether the target is cold;  cold_items, warm_items: how many of each the corpus has.
        among_own_kind: int64 [n]: a warm target's rank with the cold items removed, a cold one's among the cold items only.
        at_share: int64 [n]: ranks in the whole corpus with ``offset`` added to the score of every cold item.
        k, share, offset: that offset makes the mean share of cold items in the top ``k`` equal to ``share``.
        raw_share: the mean share without it.
    """

    is_cold: Mask
    cold_items: int
    warm_items: int
    among_own_kind: Longs
    at_share: Longs
    k: int
    share: float
    offset: float
    raw_share: float

    def rates(self, k: int) -> Mapping[str, float | None]:
        """HR@k: ``warm`` among warm items, ``cold`` among cold items; None as in ``hit_rate``."""
        return {
            "warm": hit_rate(self.among_own_kind[~self.is_cold], k, self.warm_items),
            "cold": hit_rate(self.among_own_kind[self.is_cold], k, self.cold_items),
        }

    @property
    def rates_at_share(self) -> Mapping[str, float | None]:
        """HR@K at the equal share, K the one that the offset was chosen for: ``warm`` and ``cold`` targets."""
        corpus = self.warm_items + self.cold_items
        return {
            "warm": hit_rate(self.at_share[~self.is_cold], self.k, corpus),
            "cold": hit_rate(self.at_share[self.is_cold], self.k, corpus),
        }


def cold_ranks(blocks: Callable[[], Iterable[ScoreBlock]], cold: Mask, k: int, share: float | None = None) -> ColdRanks:
    """Rank targets among their own kind, and in the whole corpus at an equal cold share of the top K.

    Args:
        blocks: called twice, and yields the same blocks of users both times.
        cold: bool [m], the items without a training event.
        k: length of the list in which the share is made equal, below m.
        share: of cold items in the top K, in (0, 1); None takes their share of the catalogue.

    Raises:
        ValueError: no item is cold or none is warm, k is not in [1, m), or the share cannot be reached (too few items of a kind).
    """
    if not 0 < cold.sum() < len(cold):
        raise ValueError(f"{int(cold.sum())} of {len(cold)} items are cold: both kinds are needed")
    wanted = float(cold.mean()) if share is None else share
    own, margins = zip(*((ranks_among_own_kind(block, cold), cold_margins(block, cold, k)) for block in blocks()), strict=True)
    offset = offset_of_share(found := np.concatenate(margins), wanted)
    return ColdRanks(
        is_cold=np.concatenate([cold[block.target] for block in blocks()]),
        cold_items=int(cold.sum()), warm_items=int((~cold).sum()),
        among_own_kind=np.concatenate(own),
        at_share=np.concatenate([ranks_with_offset(block, cold, offset) for block in blocks()]),
        k=k, share=wanted, offset=offset, raw_share=float((found < 0).mean()),
    )  # fmt: skip


def ranks_among_own_kind(block: ScoreBlock, kinds: Mask | Longs) -> Longs:
    """int64 [b]: each target's rank among the items of its kind, [m], such as cold or not; ties as in ``rank_of_target``."""
    other_kind = kinds[None, :] != kinds[block.target][:, None]
    return rank_of_target(block.scores, block.target, other_kind if block.masked is None else other_kind | block.masked)


def ranks_with_offset(block: ScoreBlock, cold: Mask, offset: float) -> Longs:
    """int64 [b]: each target's rank in the whole corpus with ``offset`` added to the score of every cold item, in float64."""
    return rank_of_target(block.scores + np.where(cold, offset, 0.0), block.target, block.masked)


def cold_margins(block: ScoreBlock, cold: Mask, k: int) -> npt.NDArray[np.float64]:
    """float64 [b, k]: the offsets beyond which a row's cold items enter its top K, one after the other.

    With w_1 >= w_2 >= .. the scores of a row's warm candidates and c_1 >= c_2 >= .. those of the cold, the j-th cold one is in the top
    K exactly where ``offset > w_{K - j + 1} - c_j``; +inf where there is no j-th, -inf where so few are warm that it always is. So the
    cold items in the top K are the number of margins below the offset. The target is a candidate, masked or not.
    """
    if not 1 <= k < block.scores.shape[1]:
        raise ValueError(f"k must be at least 1 and below the {block.scores.shape[1]} items, got {k}")
    scores = block.scores.astype(np.float64)
    if block.masked is not None:
        barred = block.masked.copy()
        barred[np.arange(len(barred)), block.target] = False
        scores[barred] = -np.inf
    coldest, warmest = _best(scores[:, cold], k), _best(scores[:, ~cold], k)[:, ::-1]
    with np.errstate(invalid="ignore"):
        return np.where(np.isneginf(coldest), np.inf, warmest - coldest)


def offset_of_share(margins: npt.NDArray[np.float64], share: float) -> float:
    """The offset at which cold items fill ``share`` of all top K lists on average, from the margins [n, k] of all rows.

    The share at an offset is the part of all margins below it, so the offset that a bisection would approach is their quantile: the
    middle between the two margins on either side of it.

    Raises:
        ValueError: the share is not in (0, 1), or no offset reaches it.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share must lie between 0 and 1, got {share}")
    flat = margins.ravel()
    place = min(max(round(share * len(flat)), 1), len(flat) - 1)
    below, above = np.partition(flat, (place - 1, place))[place - 1 : place + 1]
    if not (np.isfinite(below) and np.isfinite(above)):
        raise ValueError(f"no offset gives cold items {share:.3f} of the top {margins.shape[1]}: there are too few items of a kind")
    return float((below + above) / 2)


def _best(scores: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.float64]:
    """[b, k]: the k greatest of each row, greatest first; -inf where a row has fewer."""
    padded = np.pad(scores, ((0, 0), (0, max(0, k - scores.shape[1]))), constant_values=-np.inf)
    return -np.sort(np.partition(-padded, k - 1, axis=1)[:, :k], axis=1)
