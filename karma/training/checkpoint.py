"""What training leaves beside the artefact: decoders, optimiser state and log. Serving works without it."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from karma.training.losses import Learner


def save_state(folder: Path, learner: Learner, optimiser: torch.optim.Optimizer, log: list[dict[str, float]]) -> None:
    """Write ``decoders.safetensors`` (with the temperature), ``optimiser.safetensors`` and ``log.jsonl``; no pickle."""
    folder.mkdir(parents=True, exist_ok=True)
    decoders = {
        **learner.decoders.state_dict(),
        **{f"temperature.{name}": value for name, value in learner.temperature.state_dict().items()},
    }
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in decoders.items()}, folder / "decoders.safetensors")
    save_file(_optimiser_tensors(optimiser), folder / "optimiser.safetensors")
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log), encoding="utf-8")


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors as ``<parameter number>.<name>``, numbered over its groups in order."""
    state = optimiser.state_dict()["state"]
    return {
        f"{number}.{name}": value.detach().clone().contiguous()
        for number, values in state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }
