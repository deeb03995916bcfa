"""Arms: they change what they say and nothing else, and a finished run is left alone."""

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.held_out_figures import read_catalogue, read_histories
from karma.artefact import load_encoder
from karma.evaluation.evaluate import encode_catalogue, encode_users
from karma.evaluation.ranks import rank_of_target
from karma.training import study, train
from karma.training.arms import ARMS_IN_ORDER, PATHS_IN_ORDER, Arm, InterestPath, arm_config, path_of
from karma.training.study import AskedTargets, run_arm
from tests.karma.conftest import Planted
from tests.karma.planted import tiny_config

KNOWLEDGE = ("generation", "reconstruct_interest", "reconstruct_item", "visual")


ON: dict[Arm, set[str]] = {
    "action": set(),
    "generation": {"generation"},
    "reconstruction": {"reconstruct_interest"},
    "pair": {"generation", "reconstruct_interest"},
    "items": {"reconstruct_item"},
    "text": {"generation", "reconstruct_interest", "reconstruct_item"},
    "images_read": {"generation", "reconstruct_interest", "reconstruct_item"},
    "images": set(KNOWLEDGE),
    "images_diffusion": set(KNOWLEDGE),
}
PARTS: dict[InterestPath, tuple[bool, bool, bool, int]] = {
    "blocks": (True, True, True, 9), "pool+lm": (True, True, True, 9), "pool": (True, False, True, 9), "state": (False, True, True, 9),
    "lm": (False, True, False, 0), "lm+id": (False, True, True, 0),
}  # fmt: skip
"""Pool, language model, collaborative part, directions of latent semantics where the base has 9."""


@pytest.mark.parametrize("path", ["blocks", "pool+lm", "pool", "state"])
def test_a_configuration_says_which_path_is_its_own(path: InterestPath) -> None:
    of_content = tiny_config(encoder={"dim": 16, "use_collaborative": False})
    config = arm_config(of_content, "action", path, 0, {})
    assert path_of(config) == path
    assert not config.encoder.use_collaborative


def test_too_few_components_for_two_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="each block needs"):
        arm_config(tiny_config(encoder={"dim": 3}), "action", "blocks", 0, {})


@pytest.mark.parametrize("reading_dim", [0, 5])
@pytest.mark.parametrize("path", PATHS_IN_ORDER)
@pytest.mark.parametrize("arm", ARMS_IN_ORDER)
def test_an_arm_changes_its_objectives_and_its_paths_alone(arm: Arm, path: InterestPath, reading_dim: int) -> None:
    base = tiny_config(encoder={"latent_semantics": 9, "dim": 16, "reading_dim": reading_dim})
    on = ON[arm]
    if path == "pool" and arm in ("text", "images_read", "images", "images_diffusion"):
        on = on - {"generation"}
    elif path == "pool" and "generation" in on:
        with pytest.raises(ValueError, match="use_lm is false"):
            arm_config(base, arm, path, 7, {})
        return
    config = arm_config(base, arm, path, 7, {"steps": 3})
    assert {name for name in KNOWLEDGE if getattr(config.objectives, name)} == on
    assert config.encoder.use_visual == arm.startswith("images")
    assert config.objectives.visual_by == ("diffusion" if arm == "images_diffusion" else "mse")
    encoder = config.encoder
    parts = (encoder.use_pool, encoder.use_lm, encoder.use_collaborative, encoder.latent_semantics, encoder.reading_dim)
    half_or_as_said = {0: 8, 5: 5}[reading_dim]
    assert parts == (*PARTS[path], half_or_as_said if path == "blocks" else 0)
    assert (config.seed, config.steps) == (7, 3)
    same = {"backbone", "softmax", "windows", "positions", "learning_rate", "held_out_users"}
    assert config.model_dump(include=same) == base.model_dump(include=same)


def test_the_arm_of_images_is_by_mean_squared_error_whatever_the_base_says() -> None:
    base = tiny_config(objectives={"visual_by": "diffusion"})
    assert arm_config(base, "images", "pool+lm", 0, {}).objectives.visual_by == "mse"


def test_a_run_leaves_figures_that_its_ranks_give_and_is_not_run_again(planted: Planted, tmp_path: Path) -> None:
    histories = read_histories(planted.data)
    catalogue = read_catalogue(planted.data)
    cold = np.zeros(len(histories), bool)
    held_out = AskedTargets(catalogue=catalogue, histories=list(histories.values()), targets=["0-19"] * len(histories), cold=cold)
    config = arm_config(planted.config, "text", "pool+lm", 0, {"steps": 4})
    told = run_arm(config, planted.data, held_out, tmp_path)
    left = np.load(tmp_path / f"{config.name}.npz")
    encoder = load_encoder(train(config, planted.data, tmp_path / "again" / "encoders", progress=False))
    items = encode_catalogue(encoder, catalogue)
    place = {item: row for row, item in enumerate(catalogue.item_ids)}
    scores = encode_users(encoder, items, place, list(histories.values())) @ items.T
    seen = np.array([[item in history.item_ids for item in catalogue.item_ids] for history in histories.values()])
    assert np.array_equal(rank_of_target(scores, np.full(len(histories), place["0-19"]), seen), left["ranks"])
    shutil.rmtree(tmp_path / "again")
    assert told["HR@10"] == np.mean(left["ranks"] <= 10)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    figures = tmp_path / f"{config.name}.json"
    figures.write_text(json.dumps({"made_of": told["made_of"], "n": told["n"], "HR@10": -1.0}))
    assert run_arm(config, planted.data, held_out, tmp_path)["HR@10"] == -1.0, "not as it was left"
    longer = run_arm(config.model_copy(update={"steps": 5}), planted.data, held_out, tmp_path)
    assert longer["HR@10"] >= 0


def test_two_that_ask_for_one_run_make_it_once(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    histories = read_histories(planted.data)
    held_out = AskedTargets(
        catalogue=read_catalogue(planted.data), histories=list(histories.values()), targets=["0-19"] * len(histories),
        cold=np.zeros(len(histories), bool),
    )  # fmt: skip
    config = arm_config(planted.config, "action", "pool", 0, {"steps": 4})
    begun = []

    def counted(*told: Any, **named: Any) -> Path:
        begun.append(threading.get_ident())
        return train(*told, **named)

    monkeypatch.setattr(study, "train", counted)
    with ThreadPoolExecutor(2) as pool:
        first, second = [future.result() for future in [pool.submit(run_arm, config, planted.data, held_out, tmp_path) for _ in range(2)]]
    assert (first, len(begun)) == (second, 1)
