"""The planted world's encoder, trained once for the tests of this folder."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from karma.artefact import load_encoder
from karma.config import TrainingConfig
from karma.serving import ServingEncoder
from karma.training import train
from tests.karma.planted import tiny_config, write_world


@dataclass(frozen=True)
class Planted:
    data: Path
    config: TrainingConfig
    folder: Path
    encoder: ServingEncoder


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    root = tmp_path_factory.mktemp("planted")
    data, config = write_world(root / "data"), tiny_config()
    folder = train(config, data, root / "encoders", progress=False)
    return Planted(data, config, folder, load_encoder(folder))
