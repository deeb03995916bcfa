"""Tokens of item texts and queries: a byte-level BPE made from the catalogue, or the tokenizer of a pretrained backbone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

PAD, BEGIN, END = "<pad>", "<begin>", "<end>"


@dataclass(frozen=True)
class TokenBag:
    """Texts as flat token ids: text i has the tokens ``ids[offsets[i] : offsets[i + 1]]``, possibly none.

    Shapes: ids int64 [tokens], offsets int64 [texts].
    """

    ids: Tensor
    offsets: Tensor


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most ``vocabulary`` tokens: no text is unknown to it, and the same texts give the same tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BEGIN, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, bos_token=BEGIN, eos_token=END)


def token_ids(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int, *, special_tokens: bool = False
) -> list[list[int]]:
    """The first ``max_tokens`` tokens of each text, between the tokenizer's ``special_tokens`` or bare; an empty text has none."""
    if not texts:
        return []
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    cut = [list(ids[:max_tokens]) for ids in encoded]  # cut here: truncation=True would change the tokenizer, and with it the space
    if not special_tokens:
        return cut
    before, after = _special_tokens(tokenizer)
    return [[*before, *ids, *after] if ids else [] for ids in cut]


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """What the tokenizer itself puts before and after a text."""
    text = tokenizer("a", add_special_tokens=False)["input_ids"]
    around = list(tokenizer("a")["input_ids"])
    start = next(place for place in range(len(around)) if around[place : place + len(text)] == text)
    return around[:start], around[start + len(text) :]


def bag_of(ids: Sequence[Sequence[int]]) -> TokenBag:
    """The flat form of ragged token ids."""
    lengths = np.fromiter((len(row) for row in ids), dtype=np.int64, count=len(ids))
    flat = np.fromiter((token for row in ids for token in row), dtype=np.int64, count=int(lengths.sum()))
    return TokenBag(torch.from_numpy(flat), torch.from_numpy(np.cumsum(lengths) - lengths))


def begin_and_end(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """Ids of the tokens around a text that is generated; a tokenizer without one of them lends its other, or its last token."""
    known = [token for token in (tokenizer.bos_token_id, tokenizer.eos_token_id) if token is not None]
    fallback = known[0] if known else len(tokenizer) - 1
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    return (fallback if begin is None else begin), (fallback if end is None else end)
