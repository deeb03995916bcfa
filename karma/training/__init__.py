"""From a folder of training data to an encoder artefact."""

from karma.config import TrainingConfig
from karma.training.data import TrainingDataError
from karma.training.guard import CollapseError
from karma.training.step import DivergedError
from karma.training.trainer import train

__all__ = ["CollapseError", "DivergedError", "TrainingConfig", "TrainingDataError", "train"]
