"""Two processes, as torchrun starts them, against one process that takes the same micro-batches."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from karma.artefact import artefact_digest
from karma.config import TrainingConfig
from karma.training import train
from karma.training.data import read_training_data
from karma.training.distributed import ProcessGroupError, process_group
from karma.training.run import Run
from tests.karma import group_member
from tests.karma.conftest import Planted
from tests.karma.planted import tiny_config

PROJECT = Path(__file__).resolve().parents[2]


SHORT = """
name = "short"
steps = 2
windows = 8
positions = 4
threads = 1
precision = "fp32"
[encoder]
dim = 16
history_length = 8
[backbone]
hidden = 32
layers = 1
heads = 2
intermediate = 64
vocabulary = 320
warm_up_steps = 2
"""


def config(**changes: object) -> TrainingConfig:
    return tiny_config(**{"steps": 8, "validate_every": 2, "patience": 9, "threads": 1, **changes})


def torchrun(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Two processes without a GPU on this machine."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *map(str, arguments)]
    environ = {**os.environ, "PYTHONPATH": str(PROJECT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environ, cwd=PROJECT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def members(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What both processes tell of the same launch."""
    folder = tmp_path_factory.mktemp("group")
    (folder / "config.json").write_text(config(accumulate=2).model_dump_json())
    done = torchrun(group_member.__file__, folder / "config.json", planted.data, folder)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"member-{rank}.json").read_text()) for rank in range(2)]


def test_both_processes_hold_the_same_weights_after_some_steps(members: list[dict[str, Any]]) -> None:
    assert members[0]["backend"] == "gloo"
    assert members[0]["started_apart"] != members[1]["started_apart"]
    assert members[0]["weights"] == members[1]["weights"]
    assert members[0]["losses"] == members[1]["losses"]


def test_they_are_those_of_one_process_with_the_same_micro_batches(members: list[dict[str, Any]], planted: Planted) -> None:
    """A sum of two gradients has one order, so bit for bit."""
    alone = config(accumulate=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        run = Run.of(alone, read_training_data(planted.data, alone.encoder.event_types), progress=False)
        run._begun(None)
        losses = [run.step(step) for step in range(1, group_member.STEPS + 1)]
    assert members[0]["losses"] == losses
    assert members[0]["weights"] == group_member.weights_digest(run)


def test_a_group_that_was_stopped_ends_with_the_artefact_of_one_process(
    members: list[dict[str, Any]], planted: Planted, tmp_path: Path
) -> None:
    whole = artefact_digest(train(config(accumulate=2), planted.data, tmp_path / "encoders", progress=False))
    assert [member["artefact"] for member in members] == [whole, whole]


def test_gradients_of_parameters_that_not_all_processes_use(members: list[dict[str, Any]]) -> None:
    assert [member["gradients"] for member in members] == [[[3.0, 3.0], [5.0, 7.0], None]] * 2


def test_sums_and_decisions_are_common(members: list[dict[str, Any]]) -> None:
    assert [member["sums"] for member in members] == [{"a": 2.0, "b": 1.0}] * 2
    assert [member["from_first"] for member in members] == [10, 10]


def test_micro_batches_that_cannot_be_shared_are_refused(members: list[dict[str, Any]]) -> None:
    assert all(member["refusal"].startswith("2 processes cannot share accumulate = 3") for member in members)


def test_the_documented_command_trains_and_raises_accumulate(planted: Planted, tmp_path: Path) -> None:
    (tmp_path / "short.toml").write_text(SHORT)
    short = TrainingConfig.load(tmp_path / "short.toml")
    arguments = ["--config", tmp_path / "short.toml", "--data", planted.data, "--out", tmp_path / "encoders"]
    done = torchrun("-m", "karma.training.distributed", *arguments)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "encoders").iterdir()
    assert json.loads((folder / "manifest.json").read_text())["config"]["training"]["accumulate"] == 2
    assert artefact_digest(folder) == artefact_digest(train(short.for_processes(2), planted.data, tmp_path / "one", progress=False))


def test_a_process_that_torchrun_did_not_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(ProcessGroupError, match="torchrun"), process_group():
        pass


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(ProcessGroupError, match="2 processes on a machine with 1 GPUs"), process_group():
        pass
