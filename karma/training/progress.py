"""How far a run has come, and when it is over."""

from dataclasses import dataclass, field

from torch import Tensor

from karma.config import TrainingConfig


@dataclass(frozen=True)
class Best:
    """The checkpoint that is chosen so far: its validation metrics, its step, and the state of each of the learner's parts."""

    metrics: dict[str, float]
    step: int
    weights: list[dict[str, Tensor]]


@dataclass(kw_only=True)
class Progress:
    """What a run has behind it.

    Attributes:
        step: optimiser steps taken.
        seconds: spent on them and on validations; of a run that was stopped, up to the checkpoint that it goes on from.
        log: a row a validation.
    """

    best: Best
    step: int = 0
    seconds: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)

    def has_spent_all(self, config: TrainingConfig) -> bool:
        """Whether no step is left, or no time."""
        return self.step >= config.steps or (config.max_seconds is not None and self.seconds > config.max_seconds)

    def is_over(self, config: TrainingConfig) -> bool:
        """Whether nothing is left to spend, or ``patience`` validations brought nothing better."""
        return self.has_spent_all(config) or self.step - self.best.step >= config.patience * config.validate_every
