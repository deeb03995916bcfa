"""One training run: steps, validations, and the best checkpoint."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from karma.config import TrainingConfig
from karma.model.decoders import Decoders
from karma.objectives.action import Temperature
from karma.precision import training_device, wants_bf16
from karma.training.batches import BatchSampler
from karma.training.data import TrainingData, TrainingDataError
from karma.training.examples import Split, split
from karma.training.losses import Learner, item_vectors, popularity_of
from karma.training.optimiser import optimiser_of, rate_at
from karma.training.start import Start, start
from karma.training.validation import Validation

log = logging.getLogger("karma.training")

CHOSEN_BY = "ndcg"


class DivergedError(Exception):
    """Raised when a loss is no longer finite: the message names the step and the losses."""


@dataclass(frozen=True)
class Best:
    """The best checkpoint so far: its validation metrics, its step, and the state of each of the learner's parts."""

    metrics: dict[str, float]
    step: int
    weights: list[dict[str, Tensor]]


@dataclass(kw_only=True)
class Run:
    """What learns, on which batches, judged how; ``log`` has a row a validation, after which ``observer`` is called."""

    config: TrainingConfig
    start: Start
    learner: Learner
    sampler: BatchSampler
    validation: Validation
    optimiser: torch.optim.Optimizer
    log: list[dict[str, float]] = field(default_factory=list)
    observer: Callable[[int, "Run"], None] | None = None

    @classmethod
    def of(cls, config: TrainingConfig, data: TrainingData, *, progress: bool) -> "Run":
        """Seed everything and build the run. Raises TrainingDataError where nothing can be learnt."""
        torch.manual_seed(config.seed)
        repeats = config.softmax.repeats
        examples = split(
            data.histories, strict=config.ties == "strict", repeats=repeats, share=config.held_out_users, seed=config.seed,
            baskets=config.targets == "basket",
        )  # fmt: skip
        sampler = BatchSampler(data.histories, examples, config, len(data.catalogue))
        if not sampler.examples:
            raise TrainingDataError("no user has two item events at different times: there is nothing to learn the next item from")
        made = start(data, examples, config, progress=progress)
        learner = _learner(config, data, examples, made, training_device())
        return cls(
            config=config,
            start=made,
            learner=learner,
            sampler=sampler,
            validation=Validation(histories=data.histories, split=examples, tensors=learner.tensors, mask_seen=not repeats),
            optimiser=optimiser_of(learner),
        )

    def fit(self, *, progress: bool) -> dict[str, float]:
        """Train, restore the best checkpoint, and bring it to the CPU. Returns its validation metrics, and those of popularity.

        Raises:
            DivergedError: a loss is no longer finite.
        """
        with self.learner.device if self.learner.device.type != "cpu" else nullcontext():  # tensors made in a step lie where the model is
            best = self._best(progress=progress)
            self.learner.restore(best.weights)
            self._keep_anchors()
        for part in self.learner.parts:
            part.to("cpu")
        return self._metrics(best)

    @torch.no_grad()
    def _keep_anchors(self) -> None:
        learner = self.learner
        if learner.model.interest.own is not None:
            learner.model.eval()
            learner.model.interest.own.keep(item_vectors(learner.model, learner.tensors, torch.arange(len(learner.tensors.rows))))

    def _best(self, *, progress: bool) -> Best:
        config, learner = self.config, self.learner
        schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, lambda step: rate_at(step, config.learning_warm_up, config.steps))
        best = Best(self.validation.measure(learner.model), 0, learner.state())
        began = time.monotonic()
        learner.model.train()
        steps = tqdm(range(1, config.steps + 1), desc=f"training {config.name}", disable=not progress)
        for step in steps:
            losses = self.step(step)
            schedule.step()
            seconds = time.monotonic() - began
            is_last = step == config.steps or (config.max_seconds is not None and seconds > config.max_seconds)
            if is_last or step % config.validate_every == 0:
                best = self._validated(step, {"seconds": seconds, **losses}, best)
                steps.set_postfix({"action": f"{losses['action']:.2f}", CHOSEN_BY: f"{self.log[-1][CHOSEN_BY]:.4f}"})
            if is_last or step - best.step >= config.patience * config.validate_every:
                log.info("trained for %d of %d steps; the best checkpoint is that of step %d", step, config.steps, best.step)
                break
        return best

    def step(self, step: int) -> dict[str, float]:
        """One optimiser step, counted from 1. Returns the unweighted losses. Raises DivergedError."""
        learner, config = self.learner, self.config
        device = learner.device
        bf16 = torch.autocast(device.type, dtype=torch.bfloat16, enabled=wants_bf16(config.precision, device))
        # On a CPU the gradient of the fused kernel would be the slowest part of a step.
        with bf16, sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext():
            losses = learner.losses(self.sampler.draw())
        told = {name: loss.item() for name, loss in losses.items()}
        if not all(math.isfinite(value) for value in told.values()):
            raise DivergedError(f"a loss of step {step} is not finite: {told}")
        ramp = min(1.0, step / max(1, config.objectives.ramp_steps))
        weighted = [getattr(config.objectives, name) * (1.0 if name == "action" else ramp) * loss for name, loss in losses.items()]
        self.optimiser.zero_grad()
        torch.stack(weighted).sum().backward()
        for part in (learner.model, learner.decoders):
            if parameters := list(part.parameters()):
                nn.utils.clip_grad_norm_(parameters, config.clip)
        self.optimiser.step()
        return told

    def _validated(self, step: int, facts: dict[str, float], best: Best) -> Best:
        """Validate, log, and return the better of ``best`` and the present checkpoint."""
        found = self.validation.measure(self.learner.model)
        self.log.append({"step": step, **facts, **found})
        log.info("step %d: %s", step, {name: round(value, 4) for name, value in self.log[-1].items()})
        if self.observer is not None:
            self.observer(step, self)
        return Best(found, step, self.learner.state()) if found[CHOSEN_BY] > best.metrics[CHOSEN_BY] else best

    def _metrics(self, best: Best) -> dict[str, float]:
        popular = self.validation.popularity(self.learner.popularity.cpu().numpy())
        return {
            **best.metrics,
            **{f"popularity_{name}": value for name, value in popular.items()},
            "step": best.step,
            "held_out_users": len(self.validation.split.held_out),
            "examples": self.sampler.examples,
        }


def _learner(config: TrainingConfig, data: TrainingData, examples: Split, made: Start, device: torch.device) -> Learner:
    components = made.tensors.components.shape[1] if data.catalogue.has_visual.any() else 0
    return Learner(
        model=made.model.to(device),
        decoders=Decoders(config.objectives, dim=config.encoder.dim, lm_head=made.lm_head, components=components).to(device),
        temperature=Temperature(config.softmax.temperature).to(device),
        tensors=made.tensors.to(device),
        popularity=popularity_of(examples.target_counts(data.histories.items, len(data.catalogue))).to(device),
        config=config,
        generator=torch.Generator(device).manual_seed(config.seed),
    )
