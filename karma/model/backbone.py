"""The causal language model: any Hugging Face one, or a small Llama, without its language-model head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, LlamaConfig, PretrainedConfig, PreTrainedModel

from karma.tokenizer import TokenBag


class Backbone(nn.Module):
    """Token embeddings and, where the encoder uses it, the stack of layers above them.

    Without its layers only the embeddings are kept: they still read item texts and queries.
    """

    def __init__(self, model: PreTrainedModel, *, keep_layers: bool = True) -> None:
        super().__init__()
        embeddings = model.get_input_embeddings()
        self.config: PretrainedConfig = model.config
        self.model = model if keep_layers else None
        self._embeddings = None if keep_layers else embeddings

    @property
    def embeddings(self) -> nn.Embedding:
        found = self._embeddings if self.model is None else self.model.get_input_embeddings()
        assert isinstance(found, nn.Embedding)
        return found

    @property
    def width(self) -> int:
        return self.embeddings.embedding_dim

    def pool(self, bag: TokenBag) -> Tensor:
        """Unit-length mean of each text's token embeddings; zeros for a text without tokens. Returns [texts, width]."""
        means = F.embedding_bag(bag.ids, self.embeddings.weight, bag.offsets, mode="mean")
        return F.normalize(means, dim=-1)

    def forward(self, tokens: Tensor) -> Tensor:
        """States of the tokens [b, t, width] -> [b, t, width]; each reads itself and those before it.

        No mask is passed: padding stands after the events, and a causal model never looks ahead.
        """
        if self.model is None:
            raise RuntimeError("this backbone was built without its layers")
        states: Tensor = self.model(inputs_embeds=tokens, use_cache=False).last_hidden_state
        return states


def small_llama(*, vocabulary: int, hidden: int, layers: int, heads: int, intermediate: int, end: int) -> PreTrainedModel:
    """A Llama with random weights and a tied head, to be trained here."""
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=4096, tie_word_embeddings=True,
        bos_token_id=1, eos_token_id=end, pad_token_id=0,
    )  # fmt: skip
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return model


def backbone_from(config: PretrainedConfig, *, keep_layers: bool) -> Backbone:
    """An untrained backbone of a Hugging Face configuration, to load weights into."""
    return Backbone(AutoModel.from_config(config, dtype=torch.float32), keep_layers=keep_layers)
