"""Can the next title be told from an interest vector? The true one among decoys, found by a linear map.

Shapes: n users, m items, d dimensions, t directions of titles.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from karma.evaluation.baselines import title_vectors
from karma.evaluation.ranks import rank_of_target
from karma.evaluation.ridge import Floats, Ridge

Longs = npt.NDArray[np.int64]

DECOYS = 100
DIRECTIONS = 128


def title_lsa(titles: Sequence[str], *, seed: int, directions: int = DIRECTIONS) -> Floats:
    """Latent semantic analysis: the TF-IDF rows of ``title_vectors`` on their leading singular directions, as unit rows [m, t].

    A title without a word is a row of zeros. The decomposition is randomised, so the seed belongs to the measure.

    Source: Deerwester et al., Indexing by Latent Semantic Analysis (1990); Halko, Martinsson and Tropp (SIAM Review 2011).
    """
    rows = title_vectors(titles).tocoo()
    rank = min(directions, *rows.shape)
    places = torch.from_numpy(np.stack([rows.row, rows.col]).astype(np.int64))
    matrix = torch.sparse_coo_tensor(places, torch.from_numpy(rows.data), rows.shape, check_invariants=True).coalesce()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        left, singular, _ = torch.svd_lowrank(matrix, q=min(rank + 16, *rows.shape), niter=4)
    placed = (left * singular)[:, :rank].numpy()
    norms = np.linalg.norm(placed, axis=1, keepdims=True)
    unit: Floats = np.where(norms > 1e-9, placed / np.maximum(norms, 1e-9), 0.0)
    return unit


def title_found(
    training: npt.NDArray[np.floating], training_items: Longs, held_out: npt.NDArray[np.floating], held_out_items: Longs,
    titles: Floats, *, seed: int, decoys: int = DECOYS,
) -> npt.NDArray[np.bool_]:  # fmt: skip
    """Bool [n]: whether a held-out user's true next title is ranked first among itself and ``decoys`` others.

    A ridge regression from u to the title vector of the next item is fitted on training users; the deviation of its prediction for a
    held-out user from the training users' mean title is compared with each title by the dot product. (The prediction itself would rank
    the titles that are next most often first, for all users alike.) Decoys are drawn at random, a user at a time, from the items whose
    title vector differs from the true one's. Ties count against the model. Chance is 1 / (decoys + 1). The share is the mean; two
    encoders with the same seed have the same decoys, so they can be compared user by user.

    Args:
        training: float [k, d];  training_items: int64 [k], places in ``titles``.
        held_out: float [n, d];  held_out_items: int64 [n].
        titles: float64 [m, t], unit rows, from ``title_lsa``.

    Raises:
        ValueError: an item has fewer than ``decoys`` others with another title.
    """
    read = titles[training_items]
    predicted = Ridge.fit(training, read).predict(held_out) - read.mean(axis=0)
    rng = np.random.default_rng(seed)
    same = np.unique(titles.round(9), axis=0, return_inverse=True)[1].ravel()  # items of one title have one number
    found = np.empty(len(held_out), bool)
    for row, item in enumerate(held_out_items):
        candidates = np.concatenate([[item], _decoys(rng, same, int(item), decoys)])
        found[row] = rank_of_target((titles[candidates] @ predicted[row])[None], np.zeros(1, np.int64))[0] == 1
    return found


def _decoys(rng: np.random.Generator, same: Longs, item: int, count: int) -> Longs:
    """``count`` distinct items whose title is not that of ``item``; ``same`` int64 [m] numbers the titles."""
    others = np.flatnonzero(same != same[item])
    if len(others) < count:
        raise ValueError(f"{count} decoys are needed, but only {len(others)} items have another title")
    return rng.choice(others, count, replace=False)
