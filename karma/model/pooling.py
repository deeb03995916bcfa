"""The pooling path: learnt recency kernels over a history's item vectors and over its queries.

Shapes: b histories, t events, p positions read out, d dimensions, l lags.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def lags(counts: Tensor, positions: Tensor) -> Tensor:
    """How many counted events lie between each position and each event before it.

    Args:
        counts: int64 [b, t], running count of the events that are counted.
        positions: int64 [b, p].

    Returns: int64 [b, p, t]; negative where the event is later than the position.
    """
    steps = torch.arange(counts.shape[1], device=counts.device)
    later = steps[None, None, :] > positions[:, :, None]
    return (counts.gather(1, positions)[:, :, None] - counts[:, None, :]).masked_fill(later, -1)


def recency_mean(vectors: Tensor, present: Tensor, lag: Tensor, kernel: Tensor) -> Tensor:
    """``normalise(sum_s kernel[lag(t, s)] v_s)`` over the present events s up to t; zeros where there is none.

    Args:
        vectors: float [b, t, d];  present: bool [b, t];  lag: int64 [b, p, t] from ``lags``;  kernel: float [l].

    Returns: float32 [b, p, d].
    """
    within = present[:, None, :] & (lag >= 0) & (lag < len(kernel))
    weights = F.embedding(lag.clamp(0, len(kernel) - 1), kernel[:, None])[..., 0] * within  # a lookup with a fast gradient
    return F.normalize((weights.to(vectors.dtype) @ vectors).float(), dim=-1)


class RecencyPool(nn.Module):
    """``sum_q g_q * p_q`` with one term a kernel over items and one over queries; each kernel and gate is learnt.

    Item lags count items only, so a query or an unknown item does not push the items before it away; query lags count events.
    The query gate starts at zero: the path starts as pure item pooling.
    """

    def __init__(self, dim: int, length: int, exponents: tuple[float, ...]) -> None:
        super().__init__()
        ranks = torch.arange(1, length + 1, dtype=torch.float32)
        self.kernels = nn.Parameter(torch.stack([ranks**-exponent for exponent in exponents]))
        self.gates = nn.Parameter(torch.ones(len(exponents), dim))
        self.query_kernel = nn.Parameter(ranks**-1.0)
        self.query_gate = nn.Parameter(torch.zeros(dim))

    def forward(self, items: Tensor, has_item: Tensor, queries: Tensor, has_query: Tensor, positions: Tensor) -> Tensor:
        """Pooled vectors at ``positions`` [b, p] of items and queries [b, t, d], present where the masks [b, t] say so.

        Returns: float32 [b, p, d]; zeros where a position has neither item nor query up to it.
        """
        lag = lags(has_item.long().cumsum(1), positions)
        total = sum(gate * recency_mean(items, has_item, lag, kernel) for gate, kernel in zip(self.gates, self.kernels, strict=True))
        events = torch.arange(1, items.shape[1] + 1, device=items.device).expand(len(items), -1)
        return total + self.query_gate * recency_mean(queries, has_query, lags(events, positions), self.query_kernel)
