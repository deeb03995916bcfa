"""A run that is stopped and started again is the run that never stopped."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from karma.artefact import artefact_digest
from karma.config import EncoderConfig, TrainingConfig
from karma.training import train
from karma.training.checkpoint import StateFolder
from karma.training.data import read_training_data
from karma.training.progress import Best, Progress
from karma.training.run import Run
from karma.training.validation import Validation
from tests.karma.conftest import Planted
from tests.karma.planted import tiny_config, write_world

STEPS, EVERY = 12, 3


class Stopped(Exception):
    """What a kill is to the code that is running."""


def config(**changes: object) -> TrainingConfig:
    return tiny_config(**{"steps": STEPS, "validate_every": EVERY, "patience": 9, **changes})


def stop_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Let the run end while it takes ``step``: after its gradients, in the middle of the update."""
    honest: Callable[[Run, int], dict[str, float]] = Run.step

    def taken(run: Run, number: int) -> dict[str, float]:
        losses = honest(run, number)
        if number == step:
            raise Stopped
        return losses

    patch.setattr(Run, "step", taken)


def trained(config: TrainingConfig, data: Path, root: Path, stops: tuple[int, ...] = ()) -> Path:
    """The artefact's folder under ``root``, after as many interrupted runs as there are ``stops``."""
    for step in stops:
        with pytest.MonkeyPatch.context() as patch:
            stop_at(patch, step)
            with pytest.raises(Stopped):
                train(config, data, root / "encoders", progress=False)
    return train(config, data, root / "encoders", progress=False)


def log_of(root: Path) -> list[dict[str, float]]:
    """What was logged, clocks aside."""
    (path,) = (root / "training").glob("*/log.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


SAMPLED = {"softmax": {"full_up_to": 0, "uniform": 8, "mask_window": True}}
EXPOSED = {"softmax": {"full_up_to": 0, "uniform": 8, "exposed": 2}}
LANGUAGE_MODEL_ALONE = {"encoder": EncoderConfig(dim=8, history_length=8, use_pool=False)}


@pytest.mark.parametrize(
    ("arm", "stops"),
    [({}, (2,)), ({}, (7,)), (SAMPLED, (4, 5, 12)), (EXPOSED, (5,)), (LANGUAGE_MODEL_ALONE, (10,))],
    ids=["before a checkpoint", "after two checkpoints", "sampled softmax", "exposed items", "language model alone"],
)
def test_losses_and_artefact_are_those_of_an_undisturbed_run(
    arm: dict[str, object], stops: tuple[int, ...], planted: Planted, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = trained(config(**arm), planted.data, tmp_path / "whole")
    with caplog.at_level(logging.INFO, "karma.training"):
        parts = trained(config(**arm), planted.data, tmp_path / "parts", stops)
    assert log_of(tmp_path / "parts") == log_of(tmp_path / "whole")
    assert [row["step"] for row in log_of(tmp_path / "parts")] == [3, 6, 9, 12]
    assert artefact_digest(parts) == artefact_digest(whole)
    went_on = [record.args[0] for record in caplog.records if record.msg.startswith("training goes on")]
    assert went_on == [(stop - 1) // EVERY * EVERY for stop in stops if stop > EVERY]
    files = {path.name for path in (tmp_path / "parts" / "training" / parts.name).iterdir()}
    assert files == {"log.jsonl", "decoders.safetensors", "optimiser.safetensors"}


def test_the_best_checkpoint_survives_the_stop(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first validation is the best one: its weights, not those of the checkpoint's own step, are exported."""
    sound = {"effective_rank_items": 9.0, "mean_cosine_interests": 0.0}
    monkeypatch.setattr(Validation, "measure", lambda *_: {"ndcg": next(falling), **sound})
    falling = iter([0.1, 0.9, 0.5, 0.4, 0.3])
    whole = trained(config(), planted.data, tmp_path / "whole")
    falling = iter([0.1, 0.9, 0.5, 0.4, 0.3])
    parts = trained(config(), planted.data, tmp_path / "parts", (8,))
    assert json.loads((parts / "manifest.json").read_text())["metrics"]["step"] == EVERY
    assert artefact_digest(parts) == artefact_digest(whole)


def test_a_run_that_lost_its_patience_does_not_go_on(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped between its last validation and the export."""
    impatient = config(patience=1)
    monkeypatch.setattr("karma.training.validation.measures", lambda ranks, corpus: {"ndcg": 0.0})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("karma.training.trainer.export_encoder", lambda *_: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            train(impatient, planted.data, tmp_path / "encoders", progress=False)
    monkeypatch.setattr(Run, "step", lambda *_: pytest.fail("took a step"))
    assert train(impatient, planted.data, tmp_path / "encoders", progress=False).is_dir()
    assert [row["step"] for row in log_of(tmp_path)] == [EVERY, 2 * EVERY]


class Clock:
    """Every look at it takes a second."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now


def test_max_seconds_counts_over_all_parts(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look at the clock a step: the budget of 8.5 seconds ends with step 9, be it spent in one part or in two."""
    limited = config(max_seconds=8.5)
    monkeypatch.setattr("karma.training.run.time", Clock())
    whole = trained(limited, planted.data, tmp_path / "whole")
    parts = trained(limited, planted.data, tmp_path / "parts", (7,))
    assert log_of(tmp_path / "whole")[-1]["step"] == 9
    assert log_of(tmp_path / "parts") == log_of(tmp_path / "whole")
    assert artefact_digest(parts) == artefact_digest(whole)


def unfinished(planted: Planted, root: Path) -> Path:
    """The checkpoint that a run of ``config()``, stopped in step 5, leaves."""
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 5)
        with pytest.raises(Stopped):
            train(config(), planted.data, root / "encoders", progress=False)
    (path,) = (root / "training").glob("*/unfinished.safetensors")
    return path


def test_each_validation_can_be_read_while_the_run_goes_on(planted: Planted, tmp_path: Path) -> None:
    unfinished(planted, tmp_path)
    assert [row["step"] for row in log_of(tmp_path)] == [3]


@pytest.mark.parametrize("damage", ["torn", "empty", "no safetensors", "one bit"])
def test_a_torn_checkpoint_is_ignored_and_named(damage: str, planted: Planted, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = unfinished(planted, tmp_path)
    content = path.read_bytes()
    one_bit = content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes({"torn": content[: len(content) // 2], "empty": b"", "no safetensors": b"{}" * 100, "one bit": one_bit}[damage])
    whole = trained(config(), planted.data, tmp_path / "whole")
    assert artefact_digest(train(config(), planted.data, tmp_path / "encoders", progress=False)) == artefact_digest(whole)
    assert any(str(path) in record.getMessage() and "begins anew" in record.getMessage() for record in caplog.records)
    assert log_of(tmp_path) == log_of(tmp_path / "whole")


def test_a_checkpoint_of_other_data_or_another_configuration_is_ignored(
    planted: Planted, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Even where it was copied into the folder of this version."""
    path = unfinished(planted, tmp_path)
    run = Run.of(config(seed=1), read_training_data(planted.data, ("click",)), progress=False)
    before = run.learner.state()
    other = StateFolder(tmp_path / "training" / "tiny-000000000000")
    other.path.mkdir()
    path.rename(other.path / path.name)
    assert other.load(run.learner, run.optimiser) is None
    assert path.parent.name in caplog.records[-1].getMessage()
    assert all(torch.equal(part[name], now[name]) for part, now in zip(before, run.learner.state(), strict=True) for name in part)
    assert not run.optimiser.state_dict()["state"]
    data = write_world(tmp_path / "other data", seed=1)
    assert train(config(), data, tmp_path / "encoders", progress=False).name != path.parent.name


def test_a_checkpoint_of_other_shapes_changes_nothing(planted: Planted, tmp_path: Path) -> None:
    read = read_training_data(planted.data, ("click",))
    small = Run.of(config(encoder=EncoderConfig(dim=8, history_length=8)), read, progress=False)
    folder = StateFolder(tmp_path / "same version")
    folder.path.mkdir()
    folder.keep(small.learner, small.optimiser, Progress(best=Best({}, 0, small.learner.state())))
    run = Run.of(config(), read, progress=False)
    before = run.learner.state()
    assert folder.load(run.learner, run.optimiser) is None
    assert all(torch.equal(part[name], now[name]) for part, now in zip(before, run.learner.state(), strict=True) for name in part)


def test_a_checkpoint_appears_whole_or_not_at_all(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the middle of a write leaves the checkpoint of the validation before."""
    path = unfinished(planted, tmp_path)
    before = path.read_bytes()
    run = Run.of(config(), read_training_data(planted.data, config().encoder.event_types), progress=False)
    folder = StateFolder(path.parent)
    progress = folder.load(run.learner, run.optimiser)
    assert progress is not None

    def full_disk(_: object, target: Path, **__: object) -> None:
        target.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("karma.training.resume.save_file", full_disk)
    with pytest.raises(OSError, match="no space"):
        folder.keep(run.learner, run.optimiser, progress)
    assert path.read_bytes() == before


def test_a_step_depends_on_nothing_that_was_drawn_before(planted: Planted) -> None:
    read = read_training_data(planted.data, config().encoder.event_types)
    first, second = (Run.of(config(), read, progress=False) for _ in range(2))
    for _ in range(5):
        second.sampler.draw()
        torch.rand(3)
        torch.rand(3, generator=second.learner.generator)
    assert first.step(4) == second.step(4)
    first.sampler.seek(4, 0)
    second.sampler.seek(5, 0)
    assert not np.array_equal(first.sampler.draw().windows.events, second.sampler.draw().windows.events)


def test_a_run_killed_beside_its_artefact_loses_nothing(planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last moment: the artefact is there, the checkpoint still is. What has to outlive the run is left before."""

    def killed(self: StateFolder) -> None:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(StateFolder, "finish", killed)
        with pytest.raises(Stopped):
            train(config(), planted.data, tmp_path / "encoders", progress=False)
    train(config(), planted.data, tmp_path / "encoders", progress=False)
    (state,) = (tmp_path / "training").iterdir()
    assert {path.name for path in state.iterdir()} == {"log.jsonl", "decoders.safetensors", "optimiser.safetensors"}
