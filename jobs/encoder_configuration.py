"""Is a file a training configuration? Asked before anything is done with it; and what of it a trained encoder depends on."""

from pathlib import Path

from jobs.digests import digest_of
from jobs.errors import UsageError
from karma.config import TrainingConfig
from karma.training.trainer import pretrained_files


def configuration(path: Path) -> Path:
    """``path``, where a training configuration can be read there. Raises UsageError."""
    try:
        TrainingConfig.load(path)
    except (OSError, ValueError) as error:
        raise UsageError("NOT_A_CONFIG", "--config is no training configuration", expected="a TOML file", got=f"{path}: {error}") from error
    return path


def configuration_digest(path: Path) -> str:
    """Changes with the configuration's text, and with the files of the pretrained models that it names by their folder."""
    return digest_of(path.read_text(), pretrained_files(TrainingConfig.load(path)))
