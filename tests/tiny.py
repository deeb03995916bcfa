"""A tiny encoder with random weights: real artefact, real UDFs, milliseconds."""

from pathlib import Path

import torch

from karma.artefact import Provenance, export_encoder
from karma.config import EncoderConfig
from karma.model.backbone import Backbone, small_llama
from karma.model.encoder import KarmaEncoder
from karma.tokenizer import train_tokenizer

DIM = 16
HISTORY_LENGTH = 6


def tiny_encoder(
    encoders: Path, version: str, *, seed: int = 0, trained_until: str = "2026-02-01T00:00:00+00:00", history_length: int = HISTORY_LENGTH
) -> Path:
    """Export ``encoders/<version>/``: text and queries are read, no images, no collaborative rows. Other seeds, other spaces."""
    torch.manual_seed(seed)
    tokenizer = train_tokenizer(["red lamp", "blue mug", "green jacket"], vocabulary=300)
    config = EncoderConfig(dim=DIM, history_length=history_length, use_visual=False, use_collaborative=False)
    llama = small_llama(vocabulary=len(tokenizer), hidden=32, layers=1, heads=2, intermediate=64, end=2)
    model = KarmaEncoder(config, Backbone(llama.model), features=0, rows=0)
    with torch.no_grad():  # spread the vectors: fresh weights would put all texts beside each other
        model.backbone.embeddings.weight.normal_()
        for name, weight in model.interest.named_parameters():
            if "residual" in name and weight.dim() > 1:
                weight.normal_(std=0.3)
    folder = encoders / version
    export_encoder(folder, model, tokenizer, [], Provenance(version=version, trained_until=trained_until, protocol="time_split"))
    return folder
