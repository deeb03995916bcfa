"""How many candidates of a batch are left to tell its targets from."""

import numpy as np

from karma.training.batches import Batch
from karma.training.examples import NO_TARGET


def surviving_negatives(batch: Batch) -> float:
    """Mean number of candidates a row, of the rows with a target, that are neither masked nor the target; 0 rows give 0."""
    targets = batch.targets.ravel()
    rows = np.flatnonzero(targets != NO_TARGET)
    if not len(rows):
        return 0.0
    others = len(batch.candidates) - 1
    if batch.masked is None:
        return float(others)
    own = np.searchsorted(batch.candidates, targets[rows])
    hidden = batch.masked[rows].sum(axis=1) - batch.masked[rows, own]
    return float((others - hidden).mean())
