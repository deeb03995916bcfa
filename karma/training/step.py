"""One optimiser step: the losses of its micro-batches, their gradients, and what a log wants to know of both."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from karma.precision import wants_bf16
from karma.training.batches import BatchSampler
from karma.training.group import Group
from karma.training.losses import Learner
from karma.training.negatives import surviving_negatives
from karma.training.optimiser import rate_at, set_rate


class DivergedError(Exception):
    """Raised when a loss, or a vector after a step, is no longer finite: the message names the step, and losses where it is one."""


@dataclass(kw_only=True)
class Stepper:
    """Takes steps; ``facts`` of the last one: negatives, candidates, temperature, gradient norms before clipping, learning rate."""

    learner: Learner
    sampler: BatchSampler
    optimiser: torch.optim.Optimizer
    group: Group
    facts: dict[str, float | Tensor] = field(default_factory=dict)

    def take(self, step: int) -> dict[str, float]:
        """The step of that number, counted from 1: one update by the mean of its micro-batches, which the processes share.

        The batches and random choices of a step follow from seed and step alone, so a run can go on from any step, and in any
        number of processes.

        Returns: the unweighted losses, mean over all micro-batches.

        Raises:
            DivergedError: one of them is not finite; in every process alike.
        """
        config = self.learner.config
        set_rate(self.optimiser, rate_at(step - 1, config.learning_warm_up, config.steps, config.final_rate))
        self.optimiser.zero_grad()
        mine: defaultdict[str, float] = defaultdict(float)
        for micro_batch in self.group.share(config.accumulate):
            for name, value in self._backward(step, micro_batch).items():
                mine[name] += value / config.accumulate
        told = self.group.sums(mine)
        counts = {name: told.pop(name) for name in ("negatives", "candidates")}
        if not all(math.isfinite(value) for value in told.values()):
            raise DivergedError(f"a loss of step {step} is not finite: {told}")
        self.group.sum_gradients([parameter for part in self.learner.parts for parameter in part.parameters()])
        self.facts = {**counts, **self._clip()}
        self.optimiser.step()
        self.learner.temperature.keep_within()
        return told

    def _backward(self, step: int, micro_batch: int) -> dict[str, float]:
        """Add the gradient of a micro-batch, as its share of the step's mean. Returns its losses and counts."""
        self._seek(step, micro_batch)
        batch = self.sampler.draw()
        with _computing(self.learner):
            losses = self.learner.losses(batch)
        (self._weighted(losses, step) / self.learner.config.accumulate).backward()
        counts = {"negatives": surviving_negatives(batch), "candidates": float(len(batch.candidates))}
        return {**{name: loss.item() for name, loss in losses.items()}, **counts}

    def _seek(self, step: int, micro_batch: int) -> None:
        """Make what is drawn next depend on seed and place alone: batches, the choices in a step, and any dropout of a backbone."""
        self.sampler.seek(step, micro_batch)
        inside, anywhere = np.random.SeedSequence([self.learner.config.seed, step, micro_batch]).generate_state(2).tolist()
        self.learner.generator.manual_seed(inside)
        torch.manual_seed(anywhere)

    def _weighted(self, losses: Mapping[str, Tensor], step: int) -> Tensor:
        objectives = self.learner.config.objectives
        ramp = min(1.0, step / max(1, objectives.ramp_steps))
        weighted = [getattr(objectives, name) * (1.0 if name == "action" else ramp) * loss for name, loss in losses.items()]
        return torch.stack(weighted).sum()

    def _clip(self) -> dict[str, float | Tensor]:
        """Clip the gradients of encoder and decoders, each to the configured norm. Returns their norms before, and what else is told."""
        learner = self.learner
        norms: dict[str, float | Tensor] = {}
        for name, part in (("encoder", learner.model), ("decoders", learner.decoders)):
            if parameters := list(part.parameters()):
                norms[f"gradient_norm_{name}"] = nn.utils.clip_grad_norm_(parameters, learner.config.clip)
        rate = max(group["lr"] for group in self.optimiser.param_groups)
        return {**norms, "temperature": 1 / learner.temperature().detach(), "learning_rate": rate}


@contextmanager
def _computing(learner: Learner) -> Iterator[None]:
    """In the configured precision; on a CPU with the plain attention, since the fused kernel's gradient would be a step's slowest part."""
    device = learner.device
    bf16 = torch.autocast(device.type, dtype=torch.bfloat16, enabled=wants_bf16(learner.config.precision, device))
    with bf16, sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext():
        yield
