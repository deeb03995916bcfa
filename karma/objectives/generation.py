"""Knowledge (i), history-conditioned generation: the language model writes the next item's text after the history.

Shapes: n rows, t positions, m text tokens, w width, v vocabulary.
"""

import torch.nn.functional as F
from torch import Tensor


def generation_loss(states: Tensor, first: Tensor, head: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean next-token cross-entropy over the text's tokens.

    ``L = - sum_{r, m} mask_rm log softmax(head states_r[first_r + m])[tokens_rm] / sum mask``

    Args:
        states: float [n, t, w], the model's states over history and text; state i has read the tokens up to i.
        first: int64 [n], position whose state predicts the first token of the text.
        head: float [v, w], output embeddings.
        tokens: int64 [n, m], the text.
        mask: bool [n, m], False in padding.

    Returns: a scalar, nats a token; 0 where nothing is masked in.

    Source: KARMA (arXiv 2603.22779), history-conditioned generation. Deviation: one sampled position a history, not all.
    """
    rows, steps = mask.nonzero(as_tuple=True)
    if not len(rows):
        return states.sum() * 0.0
    logits = states[rows, first[rows] + steps] @ head.T.to(states.dtype)
    return F.cross_entropy(logits.float(), tokens[rows, steps])
