"""What the knowledge objectives cost: a training step with all of them against an action-only one, on the same batches, side by side.

    python -m benchmarks.training_step --root var/demo
    python -m benchmarks.training_step --data var/mine/training/data/<fingerprint> --config conf/encoder/ml_small.toml

Reads training data alone and writes nothing. Both encoders are the same; only the weights of the objectives differ. The two take a step
in turns, in alternating order, so that whatever else the machine does falls on both. A step at most 1.6 times as long is the aim.
"""

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table
from scipy import stats

from jobs.cli import RootArgs, places_of, run_main
from jobs.errors import InputMissingError, UsageError
from jobs.train_encoder import configuration
from karma.config import TrainingConfig
from karma.threads import torch_threads
from karma.training.arms import OBJECTIVES, InterestPath, arm_config
from karma.training.data import TrainingData, TrainingDataError, read_meta, read_training_data
from karma.training.run import Run
from schemas import names

UNMEASURED = 3
RESAMPLES = 10_000

Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TrainingStepArgs(RootArgs):
    """Time a training step with all objectives against an action-only one."""

    data: Path | None = None
    """Training data folder; default: the newest one under --root."""
    config: Path = Path("conf/encoder/ml_small.toml")
    """Training configuration; the weights of the objectives are those of the ablation's arms."""
    paths: tuple[InterestPath, ...] = ("blocks", "lm")
    """Ways to the interest vector."""
    pairs: int = 40
    """Steps of each kind that are timed."""
    threads: int = 1
    """Of torch."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Median over the pairs of a step's time with all objectives over that of action alone, and a 95 % interval, both ends included.

    Source: percentile bootstrap over pairs, Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: Seconds) -> "Ratio":
        """Of seconds [pairs, 2]: all objectives, action alone. The same seconds give the same interval."""
        ratios = seconds[:, 0] / seconds[:, 1]
        draws = np.random.default_rng(0)
        found = stats.bootstrap((ratios,), np.median, n_resamples=RESAMPLES, method="percentile", rng=draws).confidence_interval
        return cls(median=float(np.median(ratios)), low=float(found.low), high=float(found.high))

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]"


def newest_data(args: TrainingStepArgs) -> Path:
    """The training data folder under --root whose cut is the last one. Raises InputMissingError."""
    folders = [path.parent for path in (places_of(args).training / "data").glob("*/meta.json")]
    if not folders:
        hint = "run make demo first, name its --root, or a folder with --data"
        raise InputMissingError(
            "NO_TRAINING_DATA", "nothing to train on", expected="training/data/<fingerprint>/", got=args.root, hint=hint
        )
    return max(folders, key=lambda folder: (read_meta(folder).trained_until, folder.name))


def configurations(base: TrainingConfig, path: InterestPath) -> tuple[TrainingConfig, TrainingConfig]:
    """All objectives, and action alone, of one encoder. A language model made here is not warmed up: its weights take no time."""
    told = arm_config(base, "images", path, base.seed, {}).model_dump()
    told["backbone"]["warm_up_steps"] = 0
    action = {**told, "objectives": {**told["objectives"], **OBJECTIVES["action"]}}
    return TrainingConfig.model_validate(told), TrainingConfig.model_validate(action)


def timed(run: Run, step: int) -> tuple[float, float]:
    """Seconds by the clock and of the processor that a step takes, its batch included."""
    began, began_computing = time.perf_counter(), time.process_time()
    run.step(step)
    if run.learner.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began, time.process_time() - began_computing


def step_times(data: TrainingData, pair: tuple[TrainingConfig, TrainingConfig], pairs: int) -> Seconds:
    """Seconds of ``pairs`` steps of both configurations: [pairs, 2 configurations, clock and processor]. Steps of one number read the same
    batch, since seed and step alone say what is drawn."""
    runs = [Run.of(config, data, progress=False) for config in pair]
    device = runs[0].learner.device
    found = np.zeros((UNMEASURED + pairs, 2, 2))
    with device if device.type != "cpu" else nullcontext():
        for run in runs:
            run.learner.model.train()
        for step in range(len(found)):
            for which in (0, 1) if step % 2 else (1, 0):
                found[step, which] = timed(runs[which], step + 1)
    return found[UNMEASURED:]


def table_of(times: Sequence[tuple[InterestPath, Seconds]], title: str) -> Table:
    table = Table("path", "pairs", "all, ms", "action, ms", "ratio [95 %]", "ratio of processor time", title=title)
    for path, seconds in times:
        milliseconds = [f"{1000 * value:,.0f}" for value in np.median(seconds[..., 0], axis=0)]
        table.add_row(path, str(len(seconds)), *milliseconds, *(str(Ratio.of(seconds[..., clock])) for clock in (0, 1)))
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m benchmarks.training_step``."""

    def body(args: TrainingStepArgs) -> int:
        if args.pairs < 2:
            raise UsageError("NOT_A_COUNT", "an interval needs pairs", column="--pairs", expected="2 or more", got=args.pairs)
        base = TrainingConfig.load(configuration(args.config))
        try:
            folder = args.data or newest_data(args)
            data = read_training_data(folder, base.encoder.event_types)
        except TrainingDataError as error:
            raise UsageError("NOT_TRAINING_DATA", "--data cannot be read", expected="a training data folder", got=error) from error
        with torch_threads(args.threads):
            times = [(path, step_times(data, configurations(base, path), args.pairs)) for path in args.paths]
        title = f"Training step, {base.name} on {len(data.catalogue):,} items of {folder.name}, threads: {args.threads}"
        Console().print(table_of(times, title))
        return names.EXIT_DONE

    return run_main(TrainingStepArgs, body, argv, prog="python -m benchmarks.training_step")


if __name__ == "__main__":
    sys.exit(main())
