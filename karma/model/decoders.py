"""What only training has: heads and decoders that prove, and keep, the vectors' meaning. The exporter never sees this module.

Shapes: n vectors, d dimensions, m text tokens, v vocabulary, w width, c visual components.
"""

import torch
from torch import Tensor, nn
from transformers import AutoModel, LlamaConfig

from karma.config import ObjectiveConfig
from karma.model.denoiser import Denoiser


class TextDecoder(nn.Module):
    """A small causal transformer that reads a vector as prefix tokens and then the text: ``vector -> text``."""

    def __init__(self, config: ObjectiveConfig, *, dim: int, vocabulary: int) -> None:
        super().__init__()
        width = config.decoder_hidden
        self.prefix_tokens = config.prefix_tokens
        self.prefix = nn.Linear(dim, width * config.prefix_tokens)
        llama = LlamaConfig(
            vocab_size=vocabulary, hidden_size=width, intermediate_size=3 * width, num_hidden_layers=config.decoder_layers,
            num_attention_heads=config.decoder_heads, num_key_value_heads=config.decoder_heads, max_position_embeddings=512, pad_token_id=0,
        )  # fmt: skip
        self.layers = AutoModel.from_config(llama, dtype=torch.float32)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, vectors: Tensor, tokens: Tensor) -> Tensor:
        """States [n, prefix + m, w] of a decoder that reads ``vectors`` [n, d] and then ``tokens`` int64 [n, m]."""
        prefix = self.prefix(vectors).unflatten(-1, (self.prefix_tokens, -1))
        text = self.layers.get_input_embeddings()(tokens)
        states: Tensor = self.layers(inputs_embeds=torch.cat([prefix, text.to(prefix.dtype)], 1), use_cache=False).last_hidden_state
        return states


class Decoders(nn.Module):
    """The heads of the knowledge objectives; each exists only where its weight is not 0."""

    def __init__(self, config: ObjectiveConfig, *, dim: int, lm_head: Tensor, components: int) -> None:
        super().__init__()
        vocabulary, width = lm_head.shape
        self.lm_head: nn.Linear | None = None
        if config.generation:
            self.lm_head = nn.Linear(width, vocabulary, bias=False)
            self.lm_head.weight.data.copy_(lm_head)
        reconstructs = config.reconstruct_interest or config.reconstruct_item
        self.text = TextDecoder(config, dim=dim, vocabulary=vocabulary) if reconstructs else None
        self.visual = nn.Linear(dim, components) if config.visual and components and config.visual_by == "mse" else None
        self.denoiser: Denoiser | None = None
        if config.visual and components and config.visual_by == "diffusion":
            self.denoiser = Denoiser(dim=dim, components=components, width=config.decoder_hidden)
