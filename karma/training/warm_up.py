"""The warm-up: a language model learns to write the catalogue's texts before it learns to read histories."""

import logging

import torch
from torch import nn
from tqdm import tqdm
from transformers import PreTrainedModel

from karma.training.texts import Texts

log = logging.getLogger("karma.training")

WARM_UP_BATCH = 64


def warm_up(
    language_model: PreTrainedModel, texts: Texts, steps: int, *, rate: float, seed: int, progress: bool, device: torch.device
) -> float:
    """Next-token training on the catalogue's texts, so that token embeddings mean something from the first step.

    It computes on ``device``; the model is back on the CPU afterwards.

    Returns: the last step's loss, nats a token.
    """
    generator = torch.Generator().manual_seed(seed)
    language_model, texts = language_model.to(device), texts.to(device)
    optimiser = torch.optim.AdamW(language_model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    loss = torch.tensor(0.0)
    for _ in tqdm(range(steps), desc="reading the catalogue", disable=not progress):
        places = torch.randint(len(texts.lengths), (WARM_UP_BATCH,), generator=generator)
        with device:  # tensors made in a step lie where the model is
            read, write, real = texts.written(places.to(device))
        logits = language_model(input_ids=read, use_cache=False).logits
        loss = nn.functional.cross_entropy(logits[real].float(), write[real])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(language_model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    language_model.zero_grad()  # weights that then stay as they are would keep theirs, and count when gradients are clipped
    language_model.cpu()
    log.info("language model warm-up: %d steps, %.2f nats a token", steps, loss.item())
    return loss.item()
