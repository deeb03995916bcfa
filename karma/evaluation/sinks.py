"""Attention sinks: does the language model read a history, or does it stare at one event of it whatever comes after?

Shapes: b histories, t = HISTORY events, w width, l layers, h heads, s = t + 1 positions (a template token stands in front).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from karma.evaluation.evaluate import History, Vectors, flat_histories
from karma.model.backbone import Backbone
from karma.serving import ServingEncoder

HISTORY = 32
NEAREST_QUERY = 8
THRESHOLD = 0.3
USERS = 256
_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Sinks:
    """What ``attention_sinks`` found.

    Attributes:
        strongest: float32 [l, b, h], max_k alpha_k of every layer, history and head.
        mean_map: float32 [s, s], attention of query (row) to key (column), mean over layers, histories and heads.
    """

    strongest: Tensor
    mean_map: Tensor

    @property
    def score(self) -> float:
        """Share of (layer, head, history) with max_k alpha_k > THRESHOLD: 0 = no event is a sink, 1 = every head has one."""
        return float((self.strongest > THRESHOLD).float().mean())


def sinks_of(encoder: ServingEncoder, items: Vectors, place: Mapping[str, int], histories: Sequence[History]) -> Sinks | None:
    """Sinks of an encoder among the newest HISTORY events of the first USERS histories that are long enough.

    Args:
        items: float32 [m, d] item vectors, row ``place[item_id]``.

    Returns: None without a language model, or where no history is long enough.
    """
    if encoder.model.interest.residual is None or encoder.history_length < HISTORY:
        return None
    long = [history.newest(HISTORY) for history in histories if len(history.item_ids) >= HISTORY][:USERS]
    if not long:
        return None
    batch = flat_histories(encoder, place, long).batch(np.arange(len(long)), items)
    events = encoder.history_tokens(batch.vectors, batch.kinds, batch.event_types, batch.queries)
    return attention_sinks(encoder.model.backbone, encoder.template_token(), events)


def attention_sinks(backbone: Backbone, template: Tensor, events: Tensor) -> Sinks:
    """Sinks among the events of histories that are exactly HISTORY long.

    ``alpha_k = mean_{q >= k + NEAREST_QUERY} A[q, k]`` for the positions k of the history, A the attention of one head in one layer;
    positions with no query that far behind have none. The template token in front gives a model that needs some place to rest its
    attention a harmless one; it is never counted. The same histories under the weights before training tell what training did.

    Args:
        template: float [w], state of the token in front (an embedding of the tokenizer's begin token, say).
        events: float [b, t, w], the history tokens from ``InterestEncoder.tokens``.

    Raises:
        ValueError: the histories are not HISTORY events long, there is none, or the backbone was built without its layers.

    Source: KARMA (arXiv 2603.22779), which shows "barcodes" in attention maps; sinks as in Xiao et al., Efficient Streaming Language
    Models with Attention Sinks (ICLR 2024). Measure and threshold are the project's own.
    """
    if events.dim() != 3 or events.shape[1] != HISTORY or not len(events):
        raise ValueError(f"need histories of exactly {HISTORY} events, got {tuple(events.shape)}")
    if backbone.model is None:
        raise ValueError("this backbone was built without its layers")
    tokens = torch.cat([template.expand(len(events), 1, -1), events], 1)
    strongest, total = [], torch.zeros(HISTORY + 1, HISTORY + 1, device="cpu")
    with torch.inference_mode(), _eager(backbone.model) as model:
        for block in tokens.split(_AT_ONCE):
            attention = torch.stack(model(inputs_embeds=block, use_cache=False, output_attentions=True).attentions).float().cpu()
            strongest.append(alphas(attention).amax(-1))
            total += attention.mean((0, 2)).sum(0)
    return Sinks(strongest=torch.cat(strongest, 1), mean_map=total / len(tokens))


def alphas(attention: Tensor) -> Tensor:
    """alpha_k of the history positions k that a query at least NEAREST_QUERY later sees: [.., s, s] -> [.., s - 1 - NEAREST_QUERY]."""
    positions = torch.arange(attention.shape[-1], device=attention.device)
    later = positions[:, None] - positions[None, :] >= NEAREST_QUERY
    mean = (attention * later).sum(-2) / later.sum(0).clamp(min=1)
    return mean[..., 1 : attention.shape[-1] - NEAREST_QUERY]


@contextmanager
def _eager(model: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """``model`` with the one attention that can tell its weights, in evaluation mode; as it was afterwards."""
    before, was_training = model.config._attn_implementation, model.training
    model.config._attn_implementation = "eager"
    model.eval()
    try:
        yield model
    finally:
        model.config._attn_implementation = before
        model.train(was_training)
