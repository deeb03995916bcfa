"""How many candidates of a batch are left to tell its targets from."""

import numpy as np

from karma.training.batches import Batch
from karma.training.examples import NO_TARGET


def surviving_negatives(batch: Batch) -> float:
    """Mean number of candidates a row, of the rows with a target, that are neither masked nor one of its targets; 0 rows
    give 0. Exposed items are none of the candidates."""
    targets = batch.targets.ravel()
    rows = np.flatnonzero(targets != NO_TARGET)
    if not len(rows):
        return 0.0
    if batch.shares is not None:
        no_negative = batch.shares[rows] > 0
    else:
        no_negative = np.zeros((len(rows), len(batch.candidates)), bool)
        no_negative[np.arange(len(rows)), np.searchsorted(batch.candidates, targets[rows])] = True
    if batch.masked is not None:
        no_negative |= batch.masked[rows]
    return float((~no_negative).sum(axis=1).mean())
