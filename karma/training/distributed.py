"""Training in several processes that share the micro-batches of each step.

On one machine, for any configuration whose ``accumulate`` the processes divide (it is raised where they do not):

    torchrun --standalone --nproc-per-node 2 -m karma.training.distributed --config conf/encoder/sample.toml --data D --out O

``karma train-encoder --processes 2`` starts the same by Spark. Every process reads the data folder and the state folder; the first one
writes. The artefact is that of one process with the same ``accumulate``, up to the order in which gradients are summed.
"""

import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
import tyro

from karma.config import TrainingConfig
from karma.training.trainer import train

LONGEST_WAIT = timedelta(hours=2)
"""For a process that validates or exports while the others wait. One that has died is noticed by torchrun, at once."""

SECONDS_FOR_THE_CAUSE = 10
"""torchrun ends all processes once one has ended: one that only lost its peer lets the peer be the first, whose error is the cause."""


class ProcessGroupError(Exception):
    """Raised when processes cannot train together: the message says what is missing."""


@dataclass(frozen=True, kw_only=True)
class DistributedArgs:
    """Train an encoder in the processes that torchrun started."""

    config: Path
    """Training configuration."""
    data: Path
    """Training data folder."""
    out: Path
    """The artefact is written to <out>/<version>/."""
    state: Path | None = None
    """Log, checkpoint and decoders; default: training/ beside <out>."""


@contextmanager
def process_group() -> Iterator[None]:
    """Join the group that torchrun's environment describes: NCCL with a GPU a process, Gloo where there is no GPU.

    Raises:
        ProcessGroupError: torchrun did not start this process, or the machine has some GPUs but fewer than processes.
    """
    if "LOCAL_RANK" not in os.environ:
        raise ProcessGroupError("this process was not started by torchrun: torchrun --standalone --nproc-per-node N -m ...")
    gpus, place, here = torch.cuda.device_count(), int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if 0 < gpus < here:
        raise ProcessGroupError(f"{here} processes on a machine with {gpus} GPUs: start {gpus}, or hide them (CUDA_VISIBLE_DEVICES='')")
    if gpus:
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if gpus else "gloo", timeout=LONGEST_WAIT)
    try:
        yield
    finally:
        dist.destroy_process_group()


def train_as_member(config: str, data: str, out: str, state: str | None = None) -> str:
    """``train`` in a process of a group; text in and out, so that it can be sent to one.

    Args:
        config: a TrainingConfig as JSON.

    Returns: the artefact's folder.

    Raises: see ``train`` and ``process_group``.
    """
    first = os.environ.get("RANK") == "0"
    logging.basicConfig(level=logging.INFO if first else logging.WARNING, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    with process_group():
        wanted = TrainingConfig.model_validate_json(config).for_processes(dist.get_world_size())
        try:
            return str(train(wanted, Path(data), Path(out), state=Path(state) if state else None, progress=False))
        except RuntimeError:  # torch's word for a peer that is gone, among others
            time.sleep(SECONDS_FOR_THE_CAUSE)
            raise


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``torchrun -m karma.training.distributed``."""
    args = tyro.cli(DistributedArgs, args=argv, prog="karma.training.distributed", description=DistributedArgs.__doc__)
    state = str(args.state) if args.state else None
    train_as_member(TrainingConfig.load(args.config).model_dump_json(), str(args.data), str(args.out), state)


if __name__ == "__main__":
    main()
