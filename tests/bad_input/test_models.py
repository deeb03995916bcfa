"""A configuration that names a pretrained model which cannot be used: one clear line, and nothing is left behind."""

from pathlib import Path

import pytest

from karma.config import PretrainedModelError
from karma.training import train
from tests.bad_input.kinds import MODELS
from tests.bad_input.outcomes import documented
from tests.karma.planted import tiny_config, write_world


@pytest.mark.parametrize("kind", MODELS)
def test_it_is_refused_before_anything_is_written(kind: str, tmp_path: Path) -> None:
    assert documented()[kind] == MODELS[kind]
    config = tiny_config()
    told = config.model_copy(update={"backbone": config.backbone.model_copy(update={"source": str(tmp_path / "nowhere")})})
    with pytest.raises(PretrainedModelError, match="nowhere"):
        train(told, write_world(tmp_path / "data"), tmp_path / "encoders", progress=False)
    assert not list((tmp_path / "encoders").glob("*"))
