"""The directions of latent semantic analysis, from the catalogue's texts.

Shapes: n texts, v tokens of the vocabulary, k directions.
"""

import torch
from torch import Tensor

from karma.tokenizer import TokenBag

OVERSAMPLING, POWER_ITERATIONS = 16, 4
ROUNDING = 1e-4
"""Of the largest: what is smaller comes from float32 alone."""
MOST_TEXTS = 100_000
"""Of more, the directions are those of evenly chosen ones: a million rows of 400 would be 1.6 GB a copy."""


def latent_directions(texts: TokenBag, *, vocabulary: int, directions: int, seed: int) -> Tensor:
    """The table of ``LatentSemantics``: float32 [v, k]; zero columns where the texts have fewer than k directions.

    X [n, v] holds tf * idf in unit rows, idf_t = 1 + ln((1 + n) / (1 + texts with t)). With the randomised SVD X = U S V' (Halko et
    al., 2011) row t of the table is idf_t V_t, since x V = U S. Tokens in no text have zeros.
    """
    counts = _counts(texts, vocabulary)
    rows, columns = counts.indices()
    uses = torch.bincount(columns, minlength=vocabulary)
    idf = 1 + torch.log((1 + len(texts.offsets)) / (1 + uses.float()))
    weighted = counts.values() * idf[columns]
    norms = torch.zeros(len(texts.offsets)).index_add_(0, rows, weighted.square()).sqrt()
    apart = -(-len(texts.offsets) // MOST_TEXTS) or 1
    chosen = rows % apart == 0
    places = torch.stack([rows[chosen] // apart, columns[chosen]])
    shape = (-(-len(texts.offsets) // apart), vocabulary)
    scaled = torch.sparse_coo_tensor(places, (weighted / norms[rows])[chosen], shape, check_invariants=True).coalesce()
    table = torch.zeros(vocabulary, directions)
    leading = _leading(scaled, directions, seed)
    table[:, : leading.shape[1]] = idf[:, None] * leading
    table[table.norm(dim=1) < ROUNDING * table.norm(dim=1).max()] = 0.0  # a token that no direction is of; its text would be read as noise
    return table


def _leading(scaled: Tensor, directions: int, seed: int) -> Tensor:
    """At most ``directions`` right singular vectors [v, k], those whose value is more than rounding, the largest entry of each positive."""
    most = min(directions + OVERSAMPLING, *scaled.shape)
    if not scaled.values().numel():
        return torch.zeros(scaled.shape[1], 0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _, scales, found = torch.svd_lowrank(scaled, q=most, niter=POWER_ITERATIONS)
    found = found[:, : min(directions, int((scales > ROUNDING * scales[0]).sum()))]
    largest = found.gather(0, found.abs().argmax(0, keepdim=True))
    return found * largest.sign()


def _counts(texts: TokenBag, vocabulary: int) -> Tensor:
    """How often each text has each token: sparse float32 [n, v]."""
    ends = torch.cat([texts.offsets[1:], texts.offsets.new_tensor([len(texts.ids)])])
    places = torch.repeat_interleave(torch.arange(len(ends)), ends - texts.offsets)
    shape = (len(ends), vocabulary)
    return torch.sparse_coo_tensor(torch.stack([places, texts.ids]), torch.ones(len(places)), shape, check_invariants=True).coalesce()
