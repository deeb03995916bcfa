"""JS@K: do the items at the top of a ranking share words with the item that was taken?

Shapes: n rows, m items, v tokens.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from karma.evaluation.ranks import Scores
from karma.text import render_item

_TOKEN = re.compile(r"\w+")


def title_token_sets(titles: Sequence[str | None]) -> sp.csr_matrix:
    """Which tokens stand in each title, as 0 and 1: float64 [m, v].

    A token is a run of letters and digits of the rendered title, in any script; a missing title has none.
    """
    sets = [sorted(set(_TOKEN.findall(render_item(title, None)))) if title and title.strip() else [] for title in titles]
    number = {token: place for place, token in enumerate(sorted({token for tokens in sets for token in tokens}))}
    columns = [number[token] for tokens in sets for token in tokens]
    starts = np.cumsum([0] + [len(tokens) for tokens in sets])
    return sp.csr_matrix((np.ones(len(columns)), np.array(columns, np.int64), starts), (len(sets), len(number)))


def js_at_k(
    scores: Scores, target: npt.NDArray[np.int64], tokens: sp.csr_matrix, k: int, masked: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.float64]:
    """JS@K of each row: the mean Jaccard similarity of the target's title tokens and those of the top K items other than the target.

    ``JS@K_r = 1/K sum_{j in top_r} |A_j & A_target| / |A_j | A_target|``, 0 for a pair without tokens; a row's top are the K best
    candidates, the target excluded, so that a hit does not count as semantics; equal scores in the order of the columns. A row with
    fewer candidates has the mean of those. JS@K of an encoder is the mean over rows.

    Args:
        scores: float [n, m], higher is better;  target: int64 [n], a column.
        tokens: [m, v] from ``title_token_sets``.
        masked: bool [n, m], True where an item is no candidate.

    Raises:
        ValueError: k is not in [1, m).

    Source: KARMA (arXiv 2603.22779) reports a JS@50 without defining it; this definition is the project's own.
    """
    if not 1 <= k < scores.shape[1]:
        raise ValueError(f"k must be at least 1 and below the {scores.shape[1]} items, got {k}")
    rows = np.arange(len(scores))
    barred = np.zeros(scores.shape, bool) if masked is None else masked.copy()
    barred[rows, target] = True
    top = np.argsort(np.where(barred, np.inf, -scores), axis=1, kind="stable")[:, :k]
    counted = ~np.take_along_axis(barred, top, axis=1)
    similar = np.take_along_axis(_jaccard(tokens, target), top, axis=1)
    found: npt.NDArray[np.float64] = (similar * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return found


def _jaccard(tokens: sp.csr_matrix, target: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """[n, m]: Jaccard similarity of each target's set and every item's."""
    shared = (tokens[target] @ tokens.T).toarray()
    sizes = np.asarray(tokens.sum(axis=1)).ravel()
    similar: npt.NDArray[np.float64] = shared / np.maximum(sizes[target][:, None] + sizes - shared, 1)
    return similar
