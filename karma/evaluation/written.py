"""A vector in words: what the text decoder of training writes from it alone. Training's folder is needed; serving never has it.

Shapes: n vectors, d dimensions.
"""

from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor

from karma.config import ObjectiveConfig
from karma.manifest import Manifest
from karma.model.decoders import TextDecoder

LONGEST = 24
_PART = "text."


def text_decoder_of(training: Path, manifest: Manifest) -> TextDecoder | None:
    """The reconstruction decoder in ``training`` (``training/<version>/``) of the encoder that ``manifest`` describes.

    None where the folder is gone, the run trained no such decoder, or its configuration is of another version of this code.
    """
    path = training / "decoders.safetensors"
    if not path.is_file():
        return None
    weights = {name.removeprefix(_PART): tensor for name, tensor in load_file(path).items() if name.startswith(_PART)}
    try:
        config = ObjectiveConfig.model_validate(manifest.config.get("training", {}).get("objectives", {}))
        decoder = TextDecoder(config, dim=manifest.dim, vocabulary=len(weights["head.weight"]))
        decoder.load_state_dict(weights)
    except (KeyError, RuntimeError, ValidationError):
        return None
    return decoder.eval()


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
