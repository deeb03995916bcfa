"""The titles of a catalogue in tokens of a tokenizer made from them: the same for every encoder, whatever its backbone reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedTokenizerBase

from karma.evaluation.decodability import TitlePairs
from karma.text import render_item
from karma.tokenizer import begin_and_end, token_ids, train_tokenizer

VOCABULARY, TITLE_TOKENS = 2048, 32


@dataclass(frozen=True, kw_only=True)
class TitleTokens:
    """What a probe decoder learns to write: the ``texts`` of the titles, row by row, in the tokens of ``tokenizer``."""

    texts: Sequence[str]
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def of(cls, titles: Sequence[str | None]) -> "TitleTokens":
        """Train the tokenizer on all titles."""
        texts = [render_item(title, None) for title in titles]
        return cls(texts=texts, tokenizer=train_tokenizer(texts, VOCABULARY))

    @property
    def vocabulary(self) -> int:
        return len(self.tokenizer)

    @property
    def end(self) -> int:
        """The token after a title."""
        return begin_and_end(self.tokenizer)[1]

    def pairs(self, vectors: npt.NDArray[np.float32], rows: Sequence[int] | npt.NDArray[np.int64]) -> TitlePairs:
        """float32 [n, d] vectors, each with the title of its row and the end after it; at most TITLE_TOKENS tokens of a title."""
        ids = [[*found, self.end] for found in token_ids(self.tokenizer, [self.texts[row] for row in rows], TITLE_TOKENS)]
        lengths = torch.tensor([len(row) for row in ids])
        real = torch.arange(int(lengths.max())) < lengths[:, None]
        tokens = torch.zeros(real.shape, dtype=torch.int64)
        tokens[real] = torch.tensor([token for row in ids for token in row])
        return TitlePairs(vectors=torch.from_numpy(vectors), tokens=tokens, real=real)

    def text(self, ids: Sequence[int]) -> str:
        """Tokens as the text that they spell."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()
