"""The benchmark of a training step: what is compared, and the figures it makes of seconds."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.training_step import Ratio, TrainingStepArgs, configurations, main, newest_data, step_times, table_of
from jobs.errors import InputMissingError
from karma.training.data import read_training_data
from karma.training.run import Run
from schemas import names
from tests.karma.conftest import Planted
from tests.karma.planted import tiny_config

KNOWLEDGE = ("generation", "reconstruct_interest", "reconstruct_item", "visual")
TINY = Path(__file__).parents[1] / "end_to_end" / "tiny.toml"


@pytest.mark.parametrize("path", ["blocks", "pool+lm", "lm"])
def test_the_two_differ_in_the_weights_of_the_objectives_alone(path: str) -> None:
    every, action = configurations(tiny_config(), path)  # type: ignore[arg-type]
    assert all(getattr(every.objectives, name) > 0 for name in KNOWLEDGE)
    assert all(getattr(action.objectives, name) == 0 for name in KNOWLEDGE)
    same = set(type(every).model_fields) - {"objectives"}
    assert every.model_dump(include=same) == action.model_dump(include=same)


def test_the_median_is_that_of_the_pairs_ratios() -> None:
    """Ratios 1, 2 and 4: the ratio of the medians would be 4, that of the sums 19/8."""
    seconds = np.array([[1.0, 1.0], [10.0, 5.0], [8.0, 2.0]])
    ratio = Ratio.of(seconds)
    assert (ratio.median, ratio.low, ratio.high) == (2.0, 1.0, 4.0)
    assert str(ratio) == "2.00 [1.00, 4.00]"


def test_both_read_the_same_batches_in_turns(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, taken = Run.step, []

    def step(run: Run, number: int) -> dict[str, float]:
        losses = honest(run, number)
        run.sampler.seek(number, 0)
        taken.append((number, len(losses), run.sampler.draw().windows.events.tolist()))
        return losses

    monkeypatch.setattr(Run, "step", step)
    data = read_training_data(planted.data, planted.config.encoder.event_types)
    seconds = step_times(data, configurations(planted.config, "pool+lm"), 2)
    assert seconds.shape == (2, 2, 2)
    assert (seconds > 0).all()
    assert [losses for _, losses, _ in taken] == [1, 5, 5, 1, 1, 5, 5, 1, 1, 5]
    assert [number for number, _, _ in taken] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert all(first[2] == second[2] for first, second in zip(taken[::2], taken[1::2], strict=True))


def test_the_table_shows_milliseconds_of_each_and_both_ratios() -> None:
    seconds = np.stack([np.full((4, 2), [0.3, 0.2]), np.full((4, 2), [0.2, 0.1])], axis=-1)
    table = table_of([("lm", seconds)], "title")
    cells = [next(iter(column.cells)) for column in table.columns]
    assert cells == ["lm", "4", "300", "200", "1.50 [1.50, 1.50]", "2.00 [2.00, 2.00]"]


def test_a_finished_root_has_its_data_found(planted: Planted, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputMissingError, match="NO_TRAINING_DATA"):
        newest_data(TrainingStepArgs(root=str(tmp_path)))
    for name, day in (("b", "01"), ("a", "02")):
        (tmp_path / "training" / "data" / name).mkdir(parents=True)
        meta = {"trained_until": f"2026-01-{day}T00:00:00+00:00", "fingerprint": name}
        (tmp_path / "training" / "data" / name / "meta.json").write_text(json.dumps(meta))
    assert newest_data(TrainingStepArgs(root=str(tmp_path))).name == "a"
    arguments = ["--data", str(planted.data), "--config", str(TINY), "--pairs", "2", "--paths", "lm"]
    assert main(arguments) == names.EXIT_DONE
    assert "Training step, tiny on 40 items" in capsys.readouterr().out
    assert main(["--root", str(tmp_path), "--config", str(TINY)]) == names.EXIT_USAGE  # the folder holds nothing but its meta.json
    assert main([*arguments[:4], "--pairs", "1"]) == names.EXIT_USAGE
