"""ablate: arms, paths and seeds of one configuration, trained and judged on the same targets one after the other, and their table.

``--data`` is the training data folder of a leave-last-out encoder (``make own-data .. TARGETS=..`` leaves it), or any other with a
``targets.parquet``. With ``--hidden`` a tenth of its items is cold and a tenth new, and each run leaves a curve of what its encoder knows.
A GPU is used where there is one. What is finished is skipped, so a run that was stopped goes on, and several processes may share the
work by their ``--seeds``.
"""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import tyro

from jobs.ablation_table import ablation_table
from jobs.held_out_figures import read_catalogue, read_histories
from karma.config import TrainingConfig
from karma.training.arms import ARMS_IN_ORDER, PATHS_IN_ORDER, Arm, InterestPath, arm_config
from karma.training.hidden import hide
from karma.training.study import HeldOut, run_arm, run_hidden
from schemas import names

log = logging.getLogger("karma.arms")

TARGETS, TABLE, HIDDEN = "targets.parquet", "table.md", "hidden"


@dataclass(frozen=True, kw_only=True)
class AblateArgs:
    """Train arms of a configuration on the same data, and judge each on the same targets."""

    data: Path
    """Training data folder."""
    out: Path
    """Where figures and ranks of each run go, and the table."""
    targets: Path | None = None
    """Parquet: user_id, item_id; default: targets.parquet in the data folder."""
    hidden: bool = False
    """Hide items and the ends of the histories, and judge on warm, cold and new items instead of on the targets."""
    config: Path = Path("conf/encoder/ml_small.toml")
    arms: tuple[Arm, ...] = ARMS_IN_ORDER
    paths: tuple[InterestPath, ...] = PATHS_IN_ORDER[:1]
    seeds: tuple[int, ...] = (0, 1, 2)
    backbone: str | None = None
    """Folder or hub id of a pretrained causal LM; default: the configuration's."""
    rate_backbone: float | None = None
    """Factor on its learning rate; default: the configuration's."""
    steps: int | None = None
    """Default: the configuration's."""
    validate_every: int | None = None
    """Default: the configuration's."""
    patience: int | None = None
    """Default: the configuration's."""


def changes(args: AblateArgs, base: TrainingConfig) -> dict[str, Any]:
    """What the arguments change in every arm."""
    own = {name: getattr(args, name) for name in ("steps", "rate_backbone", "validate_every", "patience")}
    told: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
    if args.backbone is not None:
        told["backbone"] = {**base.backbone.model_dump(), "source": args.backbone, "warm_up_steps": None}
    return {"protocol": "leave_last_out", **told, "max_seconds": None}


def held_out(args: AblateArgs) -> HeldOut:
    """What is ranked: users with a history whose target the catalogue holds."""
    catalogue, histories = read_catalogue(args.data), read_histories(args.data)
    table = pq.read_table(args.targets or args.data / TARGETS, columns=["user_id", "item_id"])
    targets = {row["user_id"]: row["item_id"] for row in table.to_pylist()}
    known = set(catalogue.item_ids)
    users = [user for user in sorted(targets) if user in histories and targets[user] in known]
    return HeldOut(catalogue=catalogue, histories=[histories[user] for user in users], targets=[targets[user] for user in users])


def runner(args: AblateArgs, base: TrainingConfig) -> Callable[[TrainingConfig], Mapping[str, Any]]:
    """A function that runs one configuration on what ``args`` name."""
    if args.hidden:
        hidden = hide(args.data, read_catalogue(args.data), args.out / HIDDEN, repeats=base.softmax.repeats)
        pairs = hidden.pairs(mask_seen=not base.softmax.repeats)
        return lambda config: run_hidden(config, hidden.data, pairs, args.out)
    judged = held_out(args)
    return lambda config: run_arm(config, args.data, judged, args.out)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``karma ablate``."""
    args = tyro.cli(AblateArgs, args=argv, prog="karma ablate", description=__doc__)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    base = TrainingConfig.load(args.config)
    args.out.mkdir(parents=True, exist_ok=True)
    run = runner(args, base)
    for seed, path, arm in product(args.seeds, args.paths, args.arms):
        config = arm_config(base, arm, path, seed, changes(args, base))
        found = run(config)
        log.info("%s: %s", config.name, {name: round(value, 4) for name, value in found.items() if "HR@" in name and value is not None})
    table = ablation_table(args.out)
    (args.out / TABLE).write_text(table, encoding="utf-8")
    sys.stdout.write(table)
    return names.EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
