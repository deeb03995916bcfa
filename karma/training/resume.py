"""The checkpoint of an unfinished run: the run that goes on from it takes the same steps as one that never stopped.

Every random choice of a step follows from seed, step and micro-batch (``Stepper``), and so does the learning rate; weights, the
optimiser's moments and the step are therefore all that a run has to keep. One file holds them, tensors and figures, so it cannot
be half of one validation and half of another.
"""

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from karma.training.losses import Learner
from karma.training.optimiser import optimiser_tensors, restore_optimiser
from karma.training.progress import Best, Progress

log = logging.getLogger("karma.training")

_PRESENT, _BEST, _OPTIMISER = "present", "best", "optimiser"
_FIGURES = "figures"


def save_checkpoint(path: Path, version: str, learner: Learner, optimiser: torch.optim.Optimizer, progress: Progress) -> None:
    """Write ``path`` whole or not at all (safetensors; the figures are JSON in its header)."""
    present, best = learner.state(), progress.best
    tensors = {**_named(_PRESENT, present), **{f"{_OPTIMISER}.{name}": value for name, value in optimiser_tensors(optimiser).items()}}
    if best.step != progress.step:  # else they are the present weights
        tensors.update(_named(_BEST, best.weights))
    figures = {
        "version": version, "step": progress.step, "seconds": progress.seconds, "log": progress.log,
        "best": {"metrics": best.metrics, "step": best.step}, "digest": _digest(tensors),
    }  # fmt: skip
    draft = path.with_name(f".{path.name}.draft")
    save_file(tensors, draft, metadata={_FIGURES: json.dumps(figures)})
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    os.replace(draft, path)


def load_checkpoint(path: Path, version: str, learner: Learner, optimiser: torch.optim.Optimizer) -> Progress | None:
    """Set learner and optimiser to what ``path`` holds; None, and nothing is set, where it is missing, torn, changed or of another run."""
    if not path.is_file():
        return None
    try:
        figures, tensors = _read(path)
        if figures["version"] != version:
            raise ValueError(f"it is of {figures['version']}")
        if figures["digest"] != _digest(tensors):
            raise ValueError("its bytes are not those that were written")
        present = _parts(_PRESENT, tensors, learner)
        best = figures["best"]
        weights = present if best["step"] == figures["step"] else _parts(_BEST, tensors, learner)
        progress = Progress(
            step=figures["step"], seconds=figures["seconds"], log=figures["log"], best=Best(best["metrics"], best["step"], weights)
        )
    except (OSError, SafetensorError, ValueError, LookupError, TypeError) as error:
        log.warning("training begins anew: the checkpoint %s cannot be used: %s", path, error)
        return None
    learner.restore(present)
    restore_optimiser(optimiser, {name.partition(".")[2]: value for name, value in tensors.items() if name.startswith(f"{_OPTIMISER}.")})
    log.info("training goes on after step %d of %s", progress.step, path)
    return progress


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    with safe_open(path, framework="pt") as file:
        return json.loads((file.metadata() or {})[_FIGURES]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _digest(tensors: dict[str, Tensor]) -> str:
    """sha256 of names and bytes: a changed bit would train another encoder without a word."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _named(role: str, state: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """``<role>.<number of the part>.<name>``."""
    return {f"{role}.{part}.{name}": value.contiguous() for part, weights in enumerate(state) for name, value in weights.items()}


def _parts(role: str, tensors: dict[str, Tensor], learner: Learner) -> list[dict[str, Tensor]]:
    """The state of each part by its names. Raises ValueError where a shape is another, KeyError where a tensor is missing."""
    state = [{name: tensors[f"{role}.{part}.{name}"] for name in module.state_dict()} for part, module in enumerate(learner.parts)]
    for module, weights in zip(learner.parts, state, strict=True):
        for name, own in module.state_dict().items():
            if own.shape != weights[name].shape:
                raise ValueError(f"{name} has shape {tuple(weights[name].shape)}, expected {tuple(own.shape)}")
    return state
