"""What training leaves beside the artefact: decoders, optimiser state and log. Serving works without it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from karma.evaluation.written import WRITTEN
from karma.training.losses import Learner
from karma.training.optimiser import optimiser_tensors
from karma.training.progress import Progress
from karma.training.resume import load_checkpoint, save_checkpoint


@dataclass(frozen=True)
class StateFolder:
    """``state/<version>/``; no file of it is a pickle.

    While a run goes on: ``log.jsonl``, a row a validation, and ``unfinished.safetensors``, from which it goes on when it was stopped.
    When it is done: the log, ``optimiser.safetensors``, and ``decoders.safetensors``: with them the temperature, and of a head that was
    cut to the catalogue's tokens their ids, row by row.
    """

    path: Path

    @property
    def _unfinished(self) -> Path:
        return self.path / "unfinished.safetensors"

    @property
    def _log(self) -> Path:
        return self.path / "log.jsonl"

    def load(self, learner: Learner, optimiser: torch.optim.Optimizer) -> Progress | None:
        """Bring learner and optimiser to the checkpoint of this version, if there is one."""
        return load_checkpoint(self._unfinished, self.path.name, learner, optimiser)

    def begin_log(self, rows: Iterable[dict[str, float]]) -> None:
        """Make the log hold ``rows`` alone: none, or those up to the checkpoint."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._log.write_text("".join(map(_line, rows)), encoding="utf-8")

    def keep(self, learner: Learner, optimiser: torch.optim.Optimizer, progress: Progress) -> None:
        """Write the checkpoint of a validation."""
        save_checkpoint(self._unfinished, self.path.name, learner, optimiser, progress)

    def tell(self, row: dict[str, float]) -> None:
        """Append a row to the log: it can be read at once."""
        with self._log.open("a", encoding="utf-8") as log:
            log.write(_line(row))

    def leave(self, learner: Learner, optimiser: torch.optim.Optimizer) -> None:
        """Write what outlives the run."""
        self.path.mkdir(parents=True, exist_ok=True)
        decoders = {
            **learner.decoders.state_dict(),
            **{f"temperature.{name}": value for name, value in learner.temperature.state_dict().items()},
        }
        if learner.tensors.texts.head_rows is not None:
            decoders[WRITTEN] = learner.tensors.texts.written_tokens()
        save_file({name: tensor.detach().clone().contiguous() for name, tensor in decoders.items()}, self.path / "decoders.safetensors")
        save_file(optimiser_tensors(optimiser), self.path / "optimiser.safetensors")

    def finish(self) -> None:
        """Remove what only an unfinished run needs: its artefact is there."""
        self._unfinished.unlink(missing_ok=True)


def _line(row: dict[str, float]) -> str:
    return json.dumps(row) + "\n"
