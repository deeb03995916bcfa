"""gAUC: does a score order the impressions of one user, the clicked before those that were passed over?

Shapes: n impressions, g groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class GroupedAuc:
    """What ``grouped_auc`` found.

    Attributes:
        groups: the g groups that were judged, in ascending order.
        aucs: float64 [g], AUC within each;  impressions: int64 [g], its weight.
        dropped: groups of one class alone, whose AUC is not defined: in no figure.
    """

    groups: npt.NDArray[np.generic]
    aucs: Floats
    impressions: npt.NDArray[np.int64]
    dropped: int

    @property
    def value(self) -> float | None:
        """gAUC; None where every group was dropped."""
        return float(np.average(self.aucs, weights=self.impressions)) if len(self.aucs) else None


def grouped_auc(scores: npt.ArrayLike, clicked: npt.ArrayLike, groups: Sequence[str] | npt.NDArray[np.generic]) -> GroupedAuc:
    """Area under the ROC curve within each group, weighted by the group's impressions.

    ``AUC_g = (|{(i, j): s_i > s_j}| + 1/2 |{(i, j): s_i = s_j}|) / (P_g N_g)`` over the pairs of a clicked impression i and another j
    of group g, P_g and N_g their numbers; ``gAUC = sum_g n_g AUC_g / sum_g n_g`` with n_g = P_g + N_g over the groups that have both.

    Args:
        scores: [n], finite, higher is better;  clicked: bool [n].
        groups: [n], whose impression it is: the user (this project's choice; others take user and query, or weigh by clicks).

    Raises:
        ValueError: the arguments differ in length, or a score is not finite.

    Source: Zhu et al., Optimized Cost per Click in Taobao Display Advertising (KDD 2017), section 4.1; the pairs are counted by the
    Mann-Whitney statistic.
    """
    values, taken = np.asarray(scores, np.float64), np.asarray(clicked, bool)
    if not len(values) == len(taken) == len(groups):
        raise ValueError(f"{len(values)} scores, {len(taken)} clicks, {len(groups)} groups")
    if not np.isfinite(values).all():
        raise ValueError("a score is not finite")
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    total, positive = np.bincount(group, minlength=len(names)), np.bincount(group, taken, minlength=len(names))
    rank_sum = np.bincount(group, _rank_in_group(values, group, total) * taken, minlength=len(names))
    kept = (positive > 0) & (positive < total)
    won = rank_sum - positive * (positive + 1) / 2
    aucs = won[kept] / (positive * (total - positive))[kept]
    return GroupedAuc(groups=names[kept], aucs=aucs, impressions=total[kept].astype(np.int64), dropped=int((~kept).sum()))


def _rank_in_group(values: Floats, group: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> Floats:
    """Rank of each value within its group, from 1, equal values sharing the mean of theirs."""
    distinct, place = np.unique(values, return_inverse=True)
    before = np.cumsum(total) - total
    ranks: Floats = stats.rankdata(group * len(distinct) + place) - before[group]
    return ranks
