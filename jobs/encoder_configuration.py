"""Is a file a training configuration? Asked before anything is done with it; and what of it a trained encoder depends on."""

from pathlib import Path

from pydantic import ValidationError

from jobs.digests import digest_of
from jobs.errors import UsageError
from karma.config import TrainingConfig
from karma.training.trainer import pretrained_files


def configuration(path: Path) -> Path:
    """``path``, where a training configuration can be read there. Raises UsageError."""
    try:
        TrainingConfig.load(path)
    except (OSError, ValueError) as error:
        got = f"{path}: {in_words(error)}"
        raise UsageError("NOT_A_CONFIG", "--config is no training configuration", expected="a TOML file", got=got) from error
    return path


def in_words(error: Exception) -> str:
    """Which settings are wrong, and how, on one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    told = [(".".join(map(str, wrong["loc"])), wrong["msg"].removeprefix("Value error, "), wrong["input"]) for wrong in error.errors()]
    return "; ".join(
        f"{name} = {value!r}: {said}" if name and not isinstance(value, dict) else f"{name} {said}".strip() for name, said, value in told
    )


def configuration_digest(path: Path) -> str:
    """Changes with the configuration's text, and with the files of the pretrained models that it names by their folder."""
    return digest_of(path.read_text(), pretrained_files(TrainingConfig.load(path)))
