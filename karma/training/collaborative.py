"""Where the collaborative part of an item vector starts: the leading directions of the training co-occurrence.

Shapes: u users, n items with at least one training event, d dimensions.
"""

import numpy as np
import numpy.typing as npt
import torch

from karma.training.data import Histories, Ints

OVERSAMPLING, POWER_ITERATIONS = 16, 4


def items_taken(histories: Histories, trained: npt.NDArray[np.bool_]) -> Ints:
    """Catalogue places of the items with a training event, ascending: the collaborative rows in their order."""
    return np.unique(histories.items[trained & (histories.items >= 0)])


def takers_of(histories: Histories, trained: npt.NDArray[np.bool_], rows: Ints) -> Ints:
    """How many users took each item in training: int64 [n]."""
    return np.bincount(np.searchsorted(rows, _who_took_what(histories, trained)[1]), minlength=len(rows))


def collaborative_start(
    histories: Histories, trained: npt.NDArray[np.bool_], rows: Ints, *, dim: int, noise: float, seed: int
) -> npt.NDArray[np.float32]:
    """Unit rows of a rank-d factorisation of ``D^-1/2 M' diag(1 / log2(2 + n_u)) M D^-1/2``.

    M [u, n] says who took what (once), n_u counts a user's items, D is the diagonal of the weighted M' M. The factor is V S of
    the randomised SVD U S V' (Halko et al., 2011) of ``diag(..)^1/2 M D^-1/2``, so items are close when their users overlap.

    Args:
        rows: int64 [n] from ``items_taken``.
        noise: length of the random vector added to each row before it is scaled to unit length.

    Returns: float32 [n, d].
    """
    generator = torch.Generator().manual_seed(seed)
    matrix = _weighted(histories, trained, rows)
    rank = min(dim + OVERSAMPLING, *matrix.shape)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _, scales, directions = torch.svd_lowrank(matrix, q=rank, niter=POWER_ITERATIONS)
    factor = torch.zeros(len(rows), dim)
    kept = min(dim, rank)
    factor[:, :kept] = directions[:, :kept] * scales[:kept]
    factor = torch.nn.functional.normalize(factor, dim=-1)
    random = torch.nn.functional.normalize(torch.randn(len(rows), dim, generator=generator), dim=-1)
    start: npt.NDArray[np.float32] = torch.nn.functional.normalize(factor + noise * random, dim=-1).numpy()
    return start


def _weighted(histories: Histories, trained: npt.NDArray[np.bool_], rows: Ints) -> torch.Tensor:
    """``diag(1 / log2(2 + n_u))^1/2 M D^-1/2`` as a sparse [u, n] matrix; users without items are left out."""
    pairs = _who_took_what(histories, trained)
    users, columns = np.unique(pairs[0], return_inverse=True)[1], np.searchsorted(rows, pairs[1])
    weights = 1 / np.log2(2 + np.bincount(users))[users]
    diagonal = np.bincount(columns, weights, minlength=len(rows))
    values = np.sqrt(weights / diagonal[columns])
    indices = torch.from_numpy(np.stack([users, columns]))
    shape = (int(users.max()) + 1, len(rows))
    return torch.sparse_coo_tensor(indices, torch.from_numpy(values.astype(np.float32)), shape, check_invariants=True).coalesce()


def _who_took_what(histories: Histories, trained: npt.NDArray[np.bool_]) -> Ints:
    """int64 [2, m]: the distinct pairs of a user and the catalogue place of an item that he took in training."""
    used = trained & (histories.items >= 0)
    return np.unique(np.stack([histories.users[used], histories.items[used]]), axis=1)
