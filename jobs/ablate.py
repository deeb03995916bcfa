"""ablate: arms, paths and seeds of one configuration, trained and judged on held-out targets one after the other.

``--data`` is the training data folder of a leave-last-out encoder (``make own-data .. TARGETS=..`` leaves it). A GPU is used where there is
one. What is finished is skipped, so a run that was stopped goes on, and several processes may share the work by their ``--seeds``.
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import tyro

from jobs.held_out_figures import read_catalogue, read_histories
from karma.config import TrainingConfig
from karma.training.arms import ARMS_IN_ORDER, PATHS_IN_ORDER, Arm, HeldOut, InterestPath, arm_config, run_arm
from schemas import names

log = logging.getLogger("karma.arms")


@dataclass(frozen=True, kw_only=True)
class AblateArgs:
    """Train arms of a configuration on the data of a leave-last-out encoder, and judge each on the same targets."""

    data: Path
    """Training data without the targets."""
    targets: Path
    """Parquet: user_id, item_id."""
    out: Path
    """Where figures and vectors of each run go."""
    config: Path = Path("conf/encoder/ml_small.toml")
    arms: tuple[Arm, ...] = ARMS_IN_ORDER
    paths: tuple[InterestPath, ...] = PATHS_IN_ORDER
    seeds: tuple[int, ...] = (0, 1, 2)
    backbone: str | None = None
    """Folder or hub id of a pretrained causal LM; default: the configuration's."""
    rate_backbone: float | None = None
    """Factor on its learning rate; default: the configuration's."""
    steps: int | None = None
    """Default: the configuration's."""


def changes(args: AblateArgs, base: TrainingConfig) -> dict[str, Any]:
    """What the arguments change in every arm."""
    told: dict[str, Any] = {"protocol": "leave_last_out", "steps": args.steps, "rate_backbone": args.rate_backbone}
    if args.backbone is not None:
        told["backbone"] = {**base.backbone.model_dump(), "source": args.backbone, "warm_up_steps": None}
    return {**{name: value for name, value in told.items() if value is not None}, "max_seconds": None}


def held_out(args: AblateArgs) -> HeldOut:
    """What is ranked: users with a history whose target the catalogue holds."""
    catalogue, histories = read_catalogue(args.data), read_histories(args.data)
    targets = {row["user_id"]: row["item_id"] for row in pq.read_table(args.targets, columns=["user_id", "item_id"]).to_pylist()}
    known = set(catalogue.item_ids)
    users = [user for user in sorted(targets) if user in histories and targets[user] in known]
    return HeldOut(catalogue=catalogue, histories=[histories[user] for user in users], targets=[targets[user] for user in users])


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``karma ablate``."""
    args = tyro.cli(AblateArgs, args=argv, prog="karma ablate", description=__doc__)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    base, judged = TrainingConfig.load(args.config), held_out(args)
    args.out.mkdir(parents=True, exist_ok=True)
    for seed, path, arm in product(args.seeds, args.paths, args.arms):
        config = arm_config(base, arm, path, seed, changes(args, base))
        found = run_arm(config, args.data, judged, args.out)
        log.info("%s: %s", config.name, {name: found[name] for name in found if name.startswith("HR@")})
    return names.EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
