"""One training run: steps, validations, and the checkpoint that is chosen."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from tqdm import tqdm

from karma.config import TrainingConfig
from karma.model.decoders import Decoders
from karma.objectives.action import Temperature
from karma.precision import training_device
from karma.training.batches import BatchSampler
from karma.training.checkpoint import StateFolder
from karma.training.data import NothingToLearnError, TrainingData
from karma.training.examples import Split, split
from karma.training.group import ALONE, Group
from karma.training.guard import CollapseError, refuse_collapse
from karma.training.losses import Learner, item_vectors, popularity_of
from karma.training.optimiser import optimiser_of
from karma.training.progress import Best, Progress
from karma.training.start import Start, start
from karma.training.step import DivergedError, Stepper
from karma.training.validation import Validation

log = logging.getLogger("karma.training")

__all__ = ["CollapseError", "DivergedError", "Run"]

CHOSEN_BY = "ndcg"


@dataclass(kw_only=True)
class Run:
    """What learns, on which batches, judged how; ``progress`` once it has begun; ``observer`` is called after each validation,
    the one before the first step included."""

    config: TrainingConfig
    start: Start
    learner: Learner
    sampler: BatchSampler
    validation: Validation
    optimiser: torch.optim.Optimizer
    stepper: Stepper
    group: Group = ALONE
    progress: Progress | None = None
    observer: Callable[[int, "Run"], None] | None = None

    @classmethod
    def of(cls, config: TrainingConfig, data: TrainingData, *, progress: bool, group: Group = ALONE) -> "Run":
        """Seed everything and build the run of this process of ``group``. Raises NothingToLearnError."""
        torch.manual_seed(config.seed)
        repeats = config.softmax.repeats
        examples = split(
            data.histories, strict=config.ties == "strict", repeats=repeats, share=config.held_out_users, seed=config.seed,
            baskets=config.targets == "basket",
        )  # fmt: skip
        if not len(examples.held_out):
            log.warning("none is held out, no user has targets enough: no checkpoint is chosen, the last one is kept")
        sampler = BatchSampler(data.histories, examples, config, len(data.catalogue), data.exposures)
        if not sampler.examples:
            raise NothingToLearnError("no item event is followed by another one that may be a target: there is nothing to learn")
        made = start(data, examples, config, progress=progress)
        learner = _learner(config, data, examples, made, training_device())
        optimiser = optimiser_of(learner)
        return cls(
            config=config,
            start=made,
            learner=learner,
            sampler=sampler,
            validation=Validation(histories=data.histories, split=examples, tensors=learner.tensors, mask_seen=config.softmax.mask_seen),
            optimiser=optimiser,
            stepper=Stepper(learner=learner, sampler=sampler, optimiser=optimiser, group=group),
            group=group,
        )

    def fit(self, state: StateFolder | None = None, *, progress: bool) -> dict[str, float]:
        """Train, restore the chosen checkpoint, and bring it to the CPU. Returns its validation metrics, and those of popularity.

        With ``state`` the run goes on from the checkpoint that lies there, if it is of this version, and leaves one each validation.
        Of a group only the first process validates, keeps and returns anything; the others return no metric.

        Raises:
            DivergedError: a loss is no longer finite.
            CollapseError: a validation is beyond a limit of ``config.guard``.
        """
        with self.learner.device if self.learner.device.type != "cpu" else nullcontext():  # tensors made in a step lie where the model is
            best = self._best(state, progress=progress)
            if not self.group.is_first:
                return {}
            self.learner.restore(best.weights)
            self.keep_anchors()
        for part in self.learner.parts:
            part.to("cpu")
        return self._metrics(best)

    @torch.no_grad()
    def keep_anchors(self) -> None:
        """Leave the item vectors as they are now with the own-items path, which needs them when it is served."""
        model, tensors = self.learner.model, self.learner.tensors
        if model.interest.own is not None:
            was_training = model.training
            model.eval()
            model.interest.keep(item_vectors(model, tensors, torch.arange(len(tensors.rows))))
            model.train(was_training)

    def _best(self, state: StateFolder | None, *, progress: bool) -> Best:
        config, told = self.config, self._begun(state)
        began = time.monotonic() - told.seconds
        self.learner.model.train()
        with tqdm(desc=f"training {config.name}", initial=told.step, total=config.steps, disable=not progress) as steps:
            while not self.group.from_first(told.is_over(config)):
                losses = self.step(told.step + 1)
                told.step, told.seconds = told.step + 1, time.monotonic() - began
                if self.group.is_first and (told.has_spent_all(config) or told.step % config.validate_every == 0):
                    self._validate(told, losses, state)
                    steps.set_postfix({"action": f"{losses['action']:.2f}", CHOSEN_BY: f"{told.log[-1][CHOSEN_BY]:.4f}"})
                steps.update()
        log.info("trained for %d of %d steps; the chosen checkpoint is that of step %d", told.step, config.steps, told.best.step)
        return told.best

    def _begun(self, state: StateFolder | None) -> Progress:
        """Where the run goes on, or its beginning; all processes with the same weights."""
        learner = self.learner
        found = state.load(learner, self.optimiser) if state else None
        begins_at = found.step if found else 0
        if self.group.from_first(begins_at) != begins_at:
            raise RuntimeError("the processes found different checkpoints: the state folder must be one that all of them see")
        self.group.copy_from_first(learner.parts)
        if state and self.group.is_first:
            state.begin_log(found.log if found else [])
        self.progress = found or Progress(best=self._untrained())
        if self.observer is not None and self.group.is_first and found is None:
            self.observer(0, self)
        return self.progress

    def _untrained(self) -> Best:
        metrics = self.validation.measure(self.learner.model) if self.group.is_first else {}
        return Best(metrics, 0, self.learner.state())

    def step(self, step: int) -> dict[str, float]:
        """One optimiser step, counted from 1. Returns the unweighted losses. Raises DivergedError."""
        return self.stepper.take(step)

    def _validate(self, told: Progress, losses: dict[str, float], state: StateFolder | None) -> None:
        """Validate, log, and keep what is best and where the run is. Raises CollapseError.

        What was not trained is only the best until something is: on few held-out users noise may put it first, and no objective
        has formed it.
        """
        found = self._measured(told.step)
        facts = {name: float(value) for name, value in self.stepper.facts.items()}
        row = {"step": told.step, "seconds": told.seconds, **losses, **facts, **found}
        told.log.append(row)
        log.info("step %d: %s", told.step, {name: round(value, 4) for name, value in row.items()})
        if state:
            state.tell(row)
        if self.observer is not None:
            self.observer(told.step, self)
        refuse_collapse(self.config, row, self.validation.vectors)
        newest = told.best.step == 0 or self.config.choose == "last" or not len(self.validation.split.held_out)
        if newest or found[CHOSEN_BY] > told.best.metrics[CHOSEN_BY]:
            told.best = Best(found, told.step, self.learner.state())
        if state:
            state.keep(self.learner, self.optimiser, told)

    def _measured(self, step: int) -> dict[str, float]:
        """Raises DivergedError, with the step in it."""
        try:
            return self.validation.measure(self.learner.model)
        except DivergedError as error:
            raise DivergedError(f"after step {step} {error}") from None

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
