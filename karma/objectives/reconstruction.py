"""Knowledge (ii), embedding-conditioned reconstruction: a decoder writes a text from one vector alone.

Shapes: n rows, k prefix tokens, m text tokens, w width, v vocabulary.
"""

import torch
from torch import Tensor

from karma.objectives.generation import generation_loss


def reconstruction_loss(states: Tensor, prefix: int, head: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean next-token cross-entropy of a text given only the prefix made from a vector.

    ``L = - sum_{r, m} mask_rm log softmax(head states_r[prefix - 1 + m])[tokens_rm] / sum mask``: the last prefix token predicts
    the first token of the text, which the decoder then reads to predict the next.

    Args:
        states: float [n, k + m, w], the decoder's states over prefix and text.
        prefix: k, prefix tokens.
        head: float [v, w];  tokens: int64 [n, m];  mask: bool [n, m], False in padding.

    Returns: a scalar, nats a token; 0 where nothing is masked in.

    Source: KARMA (arXiv 2603.22779), embedding-conditioned reconstruction; applied to u, and to the item vectors e_i as well.
    """
    first = torch.full((len(states),), prefix - 1, dtype=torch.int64)
    return generation_loss(states, first, head, tokens, mask)
