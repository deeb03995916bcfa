"""Training from a job: in this process, or in several that Spark starts, with the same errors."""

import io
import os
import re
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import SparkSession

import karma
from jobs.errors import JobError
from jobs.stage import Context
from karma.training import CollapseError, DivergedError, TrainingConfig, TrainingDataError, train
from karma.training.data import NothingToLearnError
from karma.training.distributed import train_as_member

_ERROR = re.compile(r"(?:^|[\s])((?:\w+\.)*)(\w+Error: .+)$", re.MULTILINE)
"""A line of a traceback's end, maybe after the rank's name: module, then class and message."""


def train_encoder_of(context: Context, config: TrainingConfig, data: Path, *, processes: int = 1) -> Path:
    """The artefact's folder under the context's places.

    Several processes share the micro-batches of each step: ``config.for_processes``.

    Raises:
        JobError: training diverged or collapsed, or a process failed.
    """
    out, state = context.places.encoders, context.places.training
    if processes > 1:
        master = context.spark.conf.get("spark.master") or ""
        distributor = distributor_of(context.spark, processes, on_driver=master.startswith("local"))
        return train_by(distributor, config.for_processes(processes), data, out, state)
    try:
        return train(config, data, out=out, state=state)
    except (CollapseError, DivergedError) as error:
        raise JobError("TRAINING_STOPPED", str(error)) from error
    except NothingToLearnError as error:
        hint = "where the same item is taken again: own-data with --baskets, or a --config whose softmax.repeats is true"
        raise JobError("NOTHING_TO_LEARN", str(error), hint=hint) from error
    except TrainingDataError as error:
        raise JobError("TRAINING_DATA_UNREADABLE", str(error), hint=f"without {data} the same command writes it again") from error


def distributor_of(spark: SparkSession, processes: int, *, on_driver: bool) -> TorchDistributor:
    """Processes of this machine, or barrier tasks of the cluster; with GPUs where Spark was given some: the driver, or each task."""
    driver_has, task_has = "gpu" in spark.sparkContext.resources, int(spark.conf.get("spark.task.resource.gpu.amount", "0") or 0) > 0
    return TorchDistributor(num_processes=processes, local_mode=on_driver, use_gpu=driver_has if on_driver else task_has)


def train_by(distributor: TorchDistributor, config: TrainingConfig, data: Path, out: Path, state: Path) -> Path:
    """The artefact's folder. All three folders must be seen by every process. Raises JobError where a process failed."""
    folders, overheard = [str(folder.resolve()) for folder in (data, out, state)], _Overheard()
    try:
        with _importable(), redirect_stdout(overheard):
            folder = Path(str(distributor.run(train_as_member, config.model_dump_json(), *folders)))
    except Exception as error:
        raise JobError("TRAINING_STOPPED", last_words("".join([*overheard.said, "\n", str(error)]))) from error
    if not folder.is_dir():
        hint = "the nodes and the driver need one shared --root"
        raise JobError("ARTEFACT_ELSEWHERE", "the artefact lies where the driver does not see it", got=folder, hint=hint)
    return folder


class _Overheard(io.TextIOBase):
    """Where the processes' lines go: on to stderr, and the last ones are kept. Spark's own error does not tell what they died of."""

    def __init__(self) -> None:
        self.said: deque[str] = deque(maxlen=1000)

    def write(self, text: str) -> int:
        self.said.append(text)
        return sys.stderr.write(text)


@contextmanager
def _importable() -> Iterator[None]:
    """Let processes that are started meanwhile import the packages from where this one has them (a folder, or a zip)."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(str(karma.__file__)).parents[1]), before]))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def last_words(said: str) -> str:
    """Of what failed processes said: the first error of this project, else the first error, else the last line."""
    errors = _ERROR.findall(said)
    own = [message for module, message in errors if module.startswith("karma.")]
    return next(iter(own or [message for _, message in errors]), said.strip().rpartition("\n")[2])
