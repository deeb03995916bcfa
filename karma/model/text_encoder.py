"""A frozen text encoder: sentence vectors of item texts and queries, in the place of token embeddings and latent semantics."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from karma.tokenizer import TokenBag

TEXTS_AT_ONCE = 256


class TextEncoder(nn.Module):
    """Unit-length mean of a model's states over a text's tokens, special ones included. Nothing of it learns, and it drops nothing out.

    Source: mean pooling of Sentence-BERT (Reimers and Gurevych, EMNLP 2019).
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.config: PretrainedConfig = model.config
        self.model = model.requires_grad_(False).eval()

    @property
    def width(self) -> int:
        return int(self.config.hidden_size)

    def train(self, mode: bool = True) -> "TextEncoder":
        """Stays in evaluation mode."""
        return super().train(False)

    def forward(self, bag: TokenBag) -> Tensor:
        """Vectors of texts: float32 [texts, width], rows of norm 1; zeros for a text without tokens."""
        ends = torch.cat([bag.offsets[1:], bag.offsets.new_tensor([len(bag.ids)])])
        blocks = zip(bag.offsets.split(TEXTS_AT_ONCE), ends.split(TEXTS_AT_ONCE), strict=True)
        vectors = [self._means(bag.ids, starts, ends) for starts, ends in blocks if len(starts)]
        return torch.cat(vectors) if vectors else torch.zeros(0, self.width, device=bag.ids.device)

    def _means(self, ids: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
        lengths = ends - starts
        steps = torch.arange(max(1, int(lengths.max())), device=ids.device)
        inside = steps < lengths[:, None]
        tokens = torch.zeros_like(inside, dtype=torch.int64)
        tokens[inside] = ids[int(starts[0]) : int(ends[-1])]
        with torch.no_grad():
            states = self.model(input_ids=tokens, attention_mask=inside.long()).last_hidden_state.float()
        return F.normalize((states * inside[..., None]).sum(1), dim=-1)


def text_encoder_from(config: PretrainedConfig) -> TextEncoder:
    """An encoder of a Hugging Face configuration, to load weights into."""
    return TextEncoder(AutoModel.from_config(config, dtype=torch.float32))
