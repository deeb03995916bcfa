"""Action: pick the next item out of many by the cosine with the interest vector.

Shapes: n rows, d dimensions, c candidates, h exposed items a row.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.01, 1.0


class Temperature(nn.Module):
    """A learnt temperature tau, within [0.01, 1] where ``keep_within`` follows every update. ``forward`` returns 1 / tau."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(start)))

    def forward(self) -> Tensor:
        return self.log_scale.exp()

    @torch.no_grad()
    def keep_within(self) -> None:
        """Bring tau back to the limit that it passed. One clamped in ``forward`` would have no gradient beyond it, and stay there."""
        self.log_scale.clamp_(-math.log(HIGHEST_TEMPERATURE), -math.log(LOWEST_TEMPERATURE))


@dataclass(frozen=True, kw_only=True)
class Exposed:
    """Negatives of one row each: vectors, float [n, h, d], unit rows, an item once a row; real, bool [n, h], False in padding."""

    vectors: Tensor
    real: Tensor


def info_nce(
    interests: Tensor,
    candidates: Tensor,
    target: Tensor,
    scale: Tensor | float,
    *,
    log_q: Tensor | None = None,
    masked: Tensor | None = None,
    exposed: Exposed | None = None,
) -> Tensor:
    """Mean cross-entropy of the target, or of several in given shares, among the candidates and the row's exposed items.

    ``L = mean_r - sum_t y_rt log( exp(s_rt) / (sum_{j not masked for r} exp(s_rj) + sum_{x exposed to r} exp(scale <u_r, e_x>)) )``
    with ``s_rj = scale <u_r, e_j> - log Q(j)``; one target has y = 1.

    Args:
        interests: float [n, d], unit rows.
        candidates: float [c, d], unit rows, each item once.
        target: int64 [n], column of each row's next item; or float [n, c], the shares y of its next items, which sum to 1 in a row.
        scale: 1 / temperature.
        log_q: float [c], log of the probability that sampling brings candidate j (``sampling_log_q``); None where every item is a
            candidate (full softmax).
        masked: bool [n, c], True where a candidate is not a negative of the row (the user takes it, by id), or is one of its exposed
            items, which would count twice. Targets are never masked.
        exposed: items that were shown to the row's user and not clicked, none of them a target. They have no log Q: no sampling
            brought them, they are in the sum with certainty.

    Returns: a scalar, in nats. 0 rows give 0.

    Source: InfoNCE (van den Oord et al., 2018); logQ correction, Yi et al. (RecSys 2019). What was shown without a click stands beside
    the candidates, never in their place: alone it trained worse than random negatives (Huang et al., KDD 2020, section 2.4).
    Masks are by id, never by similarity: a similarity mask would hide a collapse.
    """
    logits = (interests @ candidates.T).float() * scale
    if log_q is not None:
        logits = logits - log_q
    if masked is not None:
        own = target > 0 if target.is_floating_point() else torch.zeros_like(masked).scatter(1, target[:, None], True)
        logits = logits.masked_fill(masked & ~own, float("-inf"))
    if exposed is not None:
        shown = torch.einsum("nd,nhd->nh", interests, exposed.vectors).float() * scale
        logits = torch.cat([logits, shown.masked_fill(~exposed.real, float("-inf"))], 1)
        target = F.pad(target, (0, shown.shape[1])) if target.is_floating_point() else target
    if not target.is_floating_point():
        return F.cross_entropy(logits, target, reduction="sum") / max(1, len(target))
    log_shares = F.log_softmax(logits, dim=-1).masked_fill(target == 0, 0.0)  # 0 * -inf of a masked candidate would be no number
    return -(target * log_shares).sum() / max(1, len(target))


def sampling_log_q(popularity: Tensor, *, batch_targets: int, uniform: int, corpus: int) -> Tensor:
    """log of the probability that an item is among the candidates at all: ``log(1 - (1 - p_j)^B (1 - 1 / corpus)^K)``.

    Yi et al. subtract the log of the expected number of draws, since what is drawn twice stands in their sum twice. Candidates here are
    distinct: an item that every batch draws four times counts once, and taking log 4 off it would leave its vector log 4 too near everyone.

    Args:
        popularity: float [c], share p_j of item j among training targets (events before the cut).
        batch_targets: B, targets in the batch, each a draw by popularity.
        uniform: K, uniform draws from a corpus of ``corpus`` items.
    """
    never_drawn = torch.special.xlog1py(batch_targets, -popularity) + torch.special.xlog1py(uniform, torch.tensor(-1 / corpus))
    return torch.log(-torch.expm1(never_drawn))
