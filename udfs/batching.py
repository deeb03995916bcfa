"""Batches of rows of like length under a token budget: pure, no Spark and no torch.

A batch is a rectangle: each of its rows costs as many tokens as its longest. Sorting by length keeps the rectangles full.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which rows go through the model together.

    Attributes:
        batches: row numbers of each batch, shortest rows first; every row is in exactly one.
        tokens: int64 [n], the length of each row.
        padded_tokens: int64 [n], the width of the batch that each row is in.
    """

    batches: Sequence[Longs]
    tokens: Longs
    padded_tokens: Longs

    @property
    def waste(self) -> float:
        """Padded over real tokens: 1.0 is no waste; 1.0 too where there is nothing to encode."""
        real = int(self.tokens.sum())
        return int(self.padded_tokens.sum()) / real if real else 1.0


def plan_batches(lengths: Longs, token_budget: int) -> Plan:
    """Length-sorted batches with rows * longest row <= ``token_budget``; a row longer than the budget is a batch of its own.

    An empty row counts as one token against the budget. Rows of the same length keep their order, so the plan is a function of
    ``lengths`` alone.

    Raises:
        ValueError: the budget is below 1, or a length is negative.
    """
    if token_budget < 1:
        raise ValueError(f"the token budget must be at least 1, got {token_budget}")
    if lengths.min(initial=0) < 0:
        raise ValueError("a length is negative")
    order = np.argsort(lengths, kind="stable")
    cuts = _cuts(lengths[order], token_budget)
    batches = np.split(order, cuts) if len(order) else []
    padded = np.zeros(len(lengths), np.int64)
    for rows in batches:
        padded[rows] = lengths[rows[-1]]
    return Plan(batches=batches, tokens=np.asarray(lengths, np.int64), padded_tokens=padded)


def _cuts(ascending: Longs, token_budget: int) -> list[int]:
    """Where a new batch starts, the first one aside."""
    cuts, start = [], 0
    for row, length in enumerate(ascending.tolist()):
        if row > start and (row - start + 1) * max(length, 1) > token_budget:
            cuts.append(row)
            start = row
    return cuts
