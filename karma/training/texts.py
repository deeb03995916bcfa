"""Texts of items and queries as tokens, to be read as bags or written one token after the other."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from karma.model.text_encoder import TextEncoder
from karma.tokenizer import TokenBag, bag_of, begin_and_end, token_ids


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Texts as tokens, to be read as bags or written one token after the other.

    Attributes:
        tokens: int64 [texts, m], padded with 0;  lengths: int64 [texts].
        begin, end: ids of the tokens around a text that is written.
        head_rows: int64 [v], a token's row in the heads that write texts; None where that is its id.
        vectors: float32 [texts, w] of a frozen text encoder; None where the texts are read by embeddings that learn.
    """

    tokens: Tensor
    lengths: Tensor
    begin: int
    end: int
    head_rows: Tensor | None = None
    vectors: Tensor | None = None

    def to(self, device: torch.device) -> "Texts":
        """The same on ``device``."""
        rows = None if self.head_rows is None else self.head_rows.to(device)
        vectors = None if self.vectors is None else self.vectors.to(device)
        return replace(self, tokens=self.tokens.to(device), lengths=self.lengths.to(device), head_rows=rows, vectors=vectors)

    def read(self, places: Tensor) -> TokenBag | Tensor:
        """The texts at ``places`` for ``KarmaEncoder.read``: their vectors, or else their tokens."""
        return self.bag(places) if self.vectors is None else self.vectors[places]

    def bag(self, places: Tensor) -> TokenBag:
        """The texts at ``places`` as flat tokens."""
        lengths = self.lengths[places]
        inside = torch.arange(self.tokens.shape[1]) < lengths[:, None]
        return TokenBag(self.tokens[places][inside], lengths.cumsum(0) - lengths)

    def written(self, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What a model reads (begin, then the text), what it must write (the text, then end), and where neither is padding.

        What is read are tokens; what is written are the heads' rows of tokens.

        Returns: int64, int64 and bool, each [places, longest text + 1].
        """
        lengths = self.lengths[places]
        width = int(lengths.max()) if len(places) else 0
        steps = torch.arange(width + 1)
        text = self.tokens[places][:, :width]
        begin = torch.full((len(places), 1), self.begin)
        write = torch.cat([text, torch.zeros_like(begin)], 1).masked_fill(steps == lengths[:, None], self.end)
        return torch.cat([begin, text], 1), write if self.head_rows is None else self.head_rows[write], steps <= lengths[:, None]

    def written_tokens(self) -> Tensor:
        """Ids of the tokens that the heads must be able to write, ascending: int64 [k]."""
        return torch.unique(torch.cat([self.bag(torch.arange(len(self.lengths))).ids, torch.tensor([self.end])]))


def texts_of(tokenizer: PreTrainedTokenizerBase, texts: list[str], max_tokens: int) -> Texts:
    """Tokens of rendered texts, at most ``max_tokens`` each; on the CPU, wherever a run makes its tensors."""
    bag = bag_of(token_ids(tokenizer, texts, max_tokens))
    lengths = torch.diff(bag.offsets, append=bag.offsets.new_tensor([len(bag.ids)]))
    tokens = bag.ids.new_zeros(len(texts), int(lengths.max()) if len(texts) else 0)
    tokens[torch.arange(tokens.shape[1], device="cpu") < lengths[:, None]] = bag.ids
    begin, end = begin_and_end(tokenizer)
    return Texts(tokens=tokens, lengths=lengths, begin=begin, end=end)


def read_by(encoder: TextEncoder, tokenizer: PreTrainedTokenizerBase, texts: Texts, rendered: list[str], max_tokens: int) -> Texts:
    """``texts`` (of ``rendered``) with their vectors by a frozen text encoder: read once, since they never change."""
    return replace(texts, vectors=encoder(bag_of(token_ids(tokenizer, rendered, max_tokens, special_tokens=True))))
