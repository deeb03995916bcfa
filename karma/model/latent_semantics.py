"""Latent semantic analysis: which texts use words that go together, whatever the language model has learnt of them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from karma.tokenizer import TokenBag


class LatentSemantics(nn.Module):
    """``normalise(sum_t table[t])`` over a text's tokens: its TF-IDF vector in the leading directions of the catalogue's texts.

    ``table`` float32 [v, k] is idf_t times token t's row of the directions; training sets it once and it learns nothing, so a text
    of new words still lies near those that share its others. Zeros for a text without known tokens.

    Source: Deerwester et al., Indexing by Latent Semantic Analysis (JASIS 1990).
    """

    table: Tensor

    def __init__(self, vocabulary: int, directions: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(vocabulary, directions))

    @property
    def width(self) -> int:
        return self.table.shape[1]

    def forward(self, bag: TokenBag) -> Tensor:
        """Vectors of texts: float32 [texts, k], rows of norm 1 or 0."""
        return F.normalize(F.embedding_bag(bag.ids, self.table, bag.offsets, mode="sum"), dim=-1)
