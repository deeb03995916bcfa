"""The user's own items: how often each was taken, and a step that brings an interest vector near those items again.

Shapes: b histories, t events, p positions read out, d dimensions, a anchors.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOST_ANCHORS = 8192
"""Each costs every history one dot product."""

SAME_ITEM = 1 - 1e-5
"""Cosine from which two events have one item. Events carry vectors, not ids; what has one vector cannot be told apart further on."""

KERNEL_EXPONENT = 0.3
APPEAL_EXPONENT = 0.5
"""An own item weighs by about this power of the number of its takers before anything is learnt. Among items that were taken once, and most
own items were, those that many take are taken again (docs/experiments.md)."""
MOST_APPEAL = 15.0
"""Of <a, e>, either way: far beyond it sums of weights leave float32's range. At its start a tells .5 log(1 + users) of a shop, some 4."""
RATE, SCALE = 1.0, 14.0
"""Where eta and s start. On untrained vectors of a shop (2,827 targets, two steps) twice the scale, or three times the rate, finds fewer of
the own items."""
RIDGE = 0.1


def times_taken(vectors: Tensor, present: Tensor, positions: Tensor) -> Tensor:
    """How often the item of each event was taken up to each position; 0 where the event is later or has no item.

    Args:
        vectors: float [b, t, d], unit rows where ``present``;  present: bool [b, t];  positions: int64 [b, p].

    Returns: float32 [b, p, t].
    """
    steps = torch.arange(vectors.shape[1], device=vectors.device)
    taken = ((steps <= positions[:, :, None]) & present[:, None, :]).float()
    with torch.autocast(vectors.device.type, enabled=False), torch.no_grad():  # bf16 would take near items for the same
        same = (vectors.float() @ vectors.float().mT > SAME_ITEM).float()
        return (taken @ same) * taken


class OwnItems(nn.Module):
    """A term beside the recency pool's, and a step towards the own items, each by how often and how lately it was taken, and by what it is.

    The event with lag l of an item e that was taken n times weighs ``w = k_l log(1 + n) / n exp(<a, e>)``: with a flat kernel k each item
    would weigh log(1 + n) exp(<a, e>) in all. a starts where ``exp(<a, e>)`` of collaborative rows grows with the number of the item's
    takers (``appeal_of_takers``). The term is ``gate * normalise(A normalise(sum_s w_s e_s))``; A starts as a whitening of the item vectors
    (``whitening``), without which the mean finds few of its own items again. The step is
    ``u <- normalise(u + eta (sum_s q_s e_s - sum_j softmax(s <u, a_j>) a_j))`` with q = w / sum w: gradient ascent on the mean
    log-probability of the own items under a softmax over the anchors a_j, the vectors of known items: in training those of the step, when
    served the ones that training left behind (``keep``). k (starts at rank^-KERNEL_EXPONENT), a, A, gate, eta and s are learnt.
    """

    anchors: Tensor

    def __init__(self, dim: int, length: int, anchors: int) -> None:
        super().__init__()
        self.register_buffer("anchors", torch.zeros(anchors, dim))
        self.kernel = nn.Parameter(torch.arange(1, length + 1, dtype=torch.float32) ** -KERNEL_EXPONENT)
        self.appeal = nn.Parameter(torch.zeros(dim))
        self.map = nn.Linear(dim, dim, bias=False)
        nn.init.eye_(self.map.weight)
        self.gate = nn.Parameter(torch.full((dim,), 2.0))  # beside two kernels of the pool
        self.rate = nn.Parameter(torch.tensor(RATE))
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE)))

    @torch.no_grad()
    def keep(self, items: Tensor) -> None:
        """Leave the vectors [n, d] of known items behind as anchors, evenly chosen where they are more than there is room for."""
        self.anchors.copy_(evenly(items, len(self.anchors)))

    def weights(self, counts: Tensor, lag: Tensor, vectors: Tensor) -> Tensor:
        """w, float32 [b, p, t], from ``times_taken`` and ``lags`` [b, p, t] and the events' vectors [b, t, d]; 0 where nothing counts."""
        kernel = F.embedding(lag.clamp(0, len(self.kernel) - 1), self.kernel[:, None])[..., 0]
        with torch.autocast(vectors.device.type, enabled=False):
            appeal = (vectors.float() @ self.appeal).clamp(-MOST_APPEAL, MOST_APPEAL).exp()[:, None]
        return torch.where(counts > 0, kernel * appeal * counts.log1p() / counts.clamp(min=1), 0.0)

    def term(self, vectors: Tensor, weights: Tensor) -> Tensor:
        """The gated term float32 [b, p, d] from vectors [b, t, d] and ``weights`` [b, p, t]; zeros where nothing was taken."""
        mean = F.normalize((weights.to(vectors.dtype) @ vectors).float(), dim=-1)
        return self.gate * F.normalize(self.map(mean).float(), dim=-1)

    def nearer(self, interests: Tensor, vectors: Tensor, weights: Tensor, anchors: Tensor) -> Tensor:
        """Interests [b, p, d] after the step, float32 [b, p, d], unit rows; one whose user took nothing stays as it is.

        Args:
            anchors: float [a, d], unit rows: the items that the own ones must be told from.
        """
        total = weights.sum(-1, keepdim=True)
        took = total > 0
        own = ((weights / total.clamp(min=1e-9)).to(vectors.dtype) @ vectors).float()
        found = (self.log_scale.exp() * (interests @ anchors.mT).float()).softmax(-1)
        step = own - (found.to(anchors.dtype) @ anchors).float()
        return F.normalize(interests + self.rate * step * took, dim=-1)


def evenly(items: Tensor, most: int) -> Tensor:
    """At most ``most`` of the rows, evenly spread."""
    return items if len(items) <= most else items[torch.arange(most, device=items.device) * len(items) // most]


def whitening(vectors: Tensor) -> Tensor:
    """``(C + RIDGE tr(C) / d I)^-1/2`` of the uncentred covariance C of [n, d] rows, scaled to a mean eigenvalue of 1: float [d, d]."""
    covariance = vectors.T.double() @ vectors.double() / max(1, len(vectors))
    energies, directions = torch.linalg.eigh(covariance)
    scales = (energies.clamp(min=0) + RIDGE * energies.mean().clamp(min=1e-9)) ** -0.5
    return (directions * (scales / scales.mean()) @ directions.T).float()


def appeal_of_takers(vectors: Tensor, takers: Tensor) -> Tensor:
    """a of the ridge regression ``<a, e> + b`` of ``APPEAL_EXPONENT log(1 + takers)`` on unit rows e [n, d]: float [d].

    The penalty, 1, is the weight of one row: a few items are not told apart by the noise of their vectors.

    Args:
        takers: int64 [n], users who took each item.
    """
    rows, told = vectors.double(), APPEAL_EXPONENT * takers.double().log1p()
    rows, told = rows - rows.mean(0), told - told.mean()
    penalty = torch.eye(rows.shape[1], dtype=rows.dtype, device=rows.device)
    return torch.linalg.solve(rows.T @ rows + penalty, rows.T @ told).float()
