"""Is a file a training configuration? Asked before anything is done with it."""

from pathlib import Path

from jobs.errors import UsageError
from karma.config import TrainingConfig


def configuration(path: Path) -> Path:
    """``path``, where a training configuration can be read there. Raises UsageError."""
    try:
        TrainingConfig.load(path)
    except (OSError, ValueError) as error:
        raise UsageError("NOT_A_CONFIG", "--config is no training configuration", expected="a TOML file", got=f"{path}: {error}") from error
    return path
