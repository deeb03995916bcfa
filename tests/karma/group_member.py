"""What one of two processes does for test_distributed.py; it leaves ``<out>/member-<rank>.json``."""

import hashlib
import json
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from karma.artefact import artefact_digest
from karma.config import TrainingConfig
from karma.training.data import read_training_data
from karma.training.distributed import process_group
from karma.training.group import Group
from karma.training.run import Run
from karma.training.trainer import train

STEPS, STOP = 3, 5


class Stopped(Exception):
    pass


def weights_digest(run: Run) -> str:
    digest = hashlib.sha256()
    for part in run.learner.parts:
        for tensor in part.state_dict().values():
            digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def after_some_steps(config: TrainingConfig, data: Path, group: Group) -> dict[str, object]:
    """Weights and losses after STEPS steps; the processes start from different weights, so the first one's must be sent."""
    run = Run.of(config, read_training_data(data, config.encoder.event_types), progress=False, group=group)
    run.learner.temperature.log_scale.data += group.rank
    started_apart = weights_digest(run)
    run._begun(None)
    losses = [run.step(step) for step in range(1, STEPS + 1)]
    return {"started_apart": started_apart, "weights": weights_digest(run), "losses": losses}


def gradients_of_one(group: Group) -> list[list[float] | None]:
    """The first parameter is used by both processes, the second by the last one alone, the third by none."""
    parameters = [torch.nn.Parameter(torch.ones(2)) for _ in range(3)]
    parameters[0].grad = torch.full((2,), float(group.rank + 1))
    if group.rank == 1:
        parameters[1].grad = torch.tensor([5.0, 7.0])
    group.sum_gradients(parameters)
    return [None if parameter.grad is None else parameter.grad.tolist() for parameter in parameters]


def stopped_and_resumed(config: TrainingConfig, data: Path, out: Path) -> str:
    honest = Run.step

    def taken(run: Run, step: int) -> dict[str, float]:
        losses = honest(run, step)
        if step == STOP:
            raise Stopped
        return losses

    Run.step = taken  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        train(config, data, out, progress=False)
    Run.step = honest  # type: ignore[method-assign]
    return artefact_digest(train(config, data, out, progress=False))


def refusal(config: TrainingConfig, data: Path, out: Path) -> str:
    with pytest.raises(ValueError, match="accumulate") as refused:
        train(config.model_copy(update={"accumulate": 3}), data, out)
    return str(refused.value)


def main(config_file: str, data: str, out: str) -> None:
    config, folder = TrainingConfig.model_validate_json(Path(config_file).read_text()), Path(out)
    with process_group():
        group = Group.current(torch.device("cpu"))
        told = {
            **after_some_steps(config, Path(data), group),
            "backend": dist.get_backend(),
            "gradients": gradients_of_one(group),
            "sums": group.sums({"a": 1.0, "b": float(group.rank)}),
            "from_first": group.from_first(10 + group.rank),
            "artefact": stopped_and_resumed(config, Path(data), folder / "encoders"),
            "refusal": refusal(config, Path(data), folder / "encoders"),
        }
        (folder / f"member-{group.rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
