"""A vector in words: what the text decoder of training writes from it alone. Training's folder is needed; serving never has it.

Shapes: n vectors, d dimensions.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from karma.config import TrainingConfig
from karma.manifest import Manifest
from karma.model.decoders import TextDecoder

log = logging.getLogger("karma.evaluation")

LONGEST = 24
_PART = "text."
WRITTEN = "written_tokens"


@dataclass(frozen=True)
class Writer:
    """A text decoder, and the served tokenizer's id of each row of its head, ascending int64 [v]; None: row and id are one number."""

    decoder: TextDecoder
    tokens: Tensor | None

    def write(self, vectors: Tensor, end: int, longest: int = LONGEST) -> list[list[int]]:
        """``write_greedily`` in ids of the served tokenizer, of which ``end`` is one."""
        if self.tokens is None:
            return write_greedily(self.decoder, vectors, end, longest)
        rows = write_greedily(self.decoder, vectors, int(torch.searchsorted(self.tokens, end)), longest)
        return [self.tokens[row].tolist() for row in rows]


def writer_of(training: Path, manifest: Manifest) -> Writer | None:
    """The reconstruction decoder in ``training`` (``training/<version>/``) of the encoder that ``manifest`` describes.

    None where the folder is gone or damaged, the run trained no such decoder, its configuration or its folder is of another version of
    this code, or a text encoder of its own reads the texts: its tokenizer is served, and it is not the one that the decoder writes in.
    """
    path = training / "decoders.safetensors"
    if not path.is_file():
        return None
    try:
        left = load_file(path)
    except (OSError, SafetensorError) as error:
        log.warning("nothing is written from vectors: %s cannot be read: %s", path, error)
        return None
    weights = {name.removeprefix(_PART): tensor for name, tensor in left.items() if name.startswith(_PART)}
    try:
        config = TrainingConfig.model_validate(manifest.config.get("training", {}))
        decoder = TextDecoder(config.objectives, dim=manifest.dim, vocabulary=len(weights["head.weight"]))
        decoder.load_state_dict(weights)
    except (KeyError, RuntimeError, ValidationError):
        return None
    if config.text_encoder.source is not None or (config.backbone.source is not None and WRITTEN not in left):
        return None
    return Writer(decoder.eval(), left.get(WRITTEN))


@torch.inference_mode()
def write_greedily(decoder: TextDecoder, vectors: Tensor, end: int, longest: int = LONGEST) -> list[list[int]]:
    """The tokens that ``decoder`` finds likeliest, one after the other, given float [n, d] ``vectors``: n lists without ``end``.

    A text ends before its first ``end``, or after ``longest`` tokens.
    """
    tokens = torch.zeros(len(vectors), 0, dtype=torch.int64)
    for _ in range(longest):
        next_token = decoder.head(decoder(vectors, tokens)[:, -1]).argmax(-1)
        tokens = torch.cat([tokens, next_token[:, None]], 1)
        if (tokens == end).any(1).all():
            break
    return [row[: row.index(end)] if end in row else row for row in tokens.tolist()]
