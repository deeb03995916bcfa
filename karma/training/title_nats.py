"""How well the language model writes titles that its training did not hold."""

from collections.abc import Sequence

import torch

from karma.training.run import Run
from karma.training.texts import texts_of

_TEXTS_AT_ONCE = 256


@torch.inference_mode()
def title_nats(run: Run, titles: Sequence[str]) -> float:
    """Nats a token of the language model on titles, by the head that generation trains, or else the one it started from; lower is better.

    Tokens that the head cannot write (it is trimmed to the catalogue's) do not count. NaN where the encoder has no language model, or
    another model than it reads the texts.
    """
    model, head, known = run.learner.model, run.learner.decoders.lm_head, run.learner.tensors.texts
    if model.backbone.model is None or model.text_encoder is not None:
        return float("nan")
    weight = run.start.lm_head.to(run.learner.device) if head is None else head.weight
    texts = texts_of(run.start.tokenizer, list(titles), run.config.encoder.max_tokens).to(run.learner.device)
    writable = torch.isin(torch.arange(model.backbone.embeddings.num_embeddings), known.written_tokens())
    model.eval()
    total = tokens = 0.0
    for places in torch.arange(len(titles)).split(_TEXTS_AT_ONCE):
        read, write, real = texts.written(places)
        real &= writable[write] | (known.head_rows is None)
        rows = write if known.head_rows is None else known.head_rows[write]
        states = model.backbone(model.backbone.embeddings(read))
        nats = torch.nn.functional.cross_entropy((states[real] @ weight.T).float(), rows[real], reduction="sum")
        total, tokens = total + nats.item(), tokens + int(real.sum())
    model.train()
    return total / max(1, tokens)
