"""Linear probes: which categories, and which numbers, a ridge regression reads out of frozen vectors.

One half of the rows fits the probe, the other measures it. Shapes: n rows, d dimensions, c labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from karma.evaluation.ridge import Floats, Ridge
from karma.text import category_labels

MIN_POSITIVES = 20
"""Positives that a label needs in the measured half to be judged."""


@dataclass(frozen=True, kw_only=True)
class LabelProbe:
    """What ``probe_labels`` found.

    Attributes:
        labels: int64, columns that were judged.
        average_precision: float64, of each of them;  positive_share: what a constant score would have there.
    """

    labels: npt.NDArray[np.int64]
    average_precision: Floats
    positive_share: Floats

    @property
    def macro(self) -> float | None:
        """Mean over the judged labels; None where there is none."""
        return float(self.average_precision.mean()) if len(self.labels) else None

    @property
    def chance(self) -> float | None:
        """The macro average of a probe that reads nothing."""
        return float(self.positive_share.mean()) if len(self.labels) else None


def multi_hot(categories: Sequence[str | None]) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """The distinct labels in ascending order, and bool [n, c]: which of them each row's category path (``a|b``, ``a > b``) names."""
    paths = [category_labels(category) for category in categories]
    names = sorted({label for path in paths for label in path})
    place = {name: column for column, name in enumerate(names)}
    hot = np.zeros((len(paths), len(names)), bool)
    for row, path in enumerate(paths):
        hot[row, [place[label] for label in path]] = True
    return names, hot


def probe_labels(vectors: npt.NDArray[np.floating], labels: npt.NDArray[np.bool_], *, seed: int) -> LabelProbe:
    """``labels_read`` of bool [n, c] labels from [n, d] vectors, on the half that was not fitted.

    Raises:
        ValueError: vectors and labels differ in rows, or there are fewer than six.
    """
    fitted, measured = halves(len(vectors), seed)
    return labels_read(vectors[fitted], labels[fitted], vectors[measured], labels[measured])


def labels_read(
    fitted: npt.NDArray[np.floating], labels: npt.NDArray[np.bool_], measured: npt.NDArray[np.floating], of_measured: npt.NDArray[np.bool_]
) -> LabelProbe:
    """A ridge regression fitted on some rows, and the average precision of each label on others, ranked by the predicted value.

    Labels with at least MIN_POSITIVES positives among the measured rows are judged, provided that not all rows have them.
    """
    predicted = Ridge.fit(fitted, labels).predict(measured)
    positives = of_measured.sum(axis=0)
    judged = np.flatnonzero((positives >= MIN_POSITIVES) & (positives < len(measured)))
    found = np.array([average_precision(predicted[:, column], of_measured[:, column]) for column in judged])
    return LabelProbe(labels=judged, average_precision=found, positive_share=positives[judged] / len(measured))


def numbers_read(
    fitted: npt.NDArray[np.floating], numbers: npt.NDArray[np.floating], measured: npt.NDArray[np.floating],
    of_measured: npt.NDArray[np.floating],
) -> float | None:  # fmt: skip
    """R^2 of a ridge regression fitted on some rows, on others; numbers [n, c], all columns together. None where the measured are equal.

    ``R^2 = 1 - sum (y - y')^2 / sum (y - mean y)^2``, sums and mean over the measured rows: 1 read exactly, 0 as good as the mean.
    """
    spread = float(((of_measured - of_measured.mean(axis=0)) ** 2).sum())
    if not spread > 0:
        return None
    return 1 - float(((of_measured - Ridge.fit(fitted, numbers).predict(measured)) ** 2).sum()) / spread


def halves(rows: int, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Two random halves of the row numbers, the first to fit and the second to measure. Raises ValueError for fewer than six rows."""
    if rows < 6:
        raise ValueError(f"a probe needs at least six rows, got {rows}")
    order = np.random.default_rng(seed).permutation(rows)
    return order[: rows // 2], order[rows // 2 :]


def average_precision(scores: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_]) -> float:
    """``AP = sum_t (R_t - R_{t-1}) P_t`` over the distinct scores t, highest first; P_t and R_t: precision and recall of scores >= t.

    Equal scores enter together, so their order does not matter.

    Raises:
        ValueError: nothing is positive.
    """
    if not positive.any():
        raise ValueError("average precision needs a positive")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    found, shown = hits[ends], ends + 1
    return float((np.diff(found, prepend=0) / hits[-1] * (found / shown)).sum())
