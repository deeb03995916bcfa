"""ablate: arms, paths and seeds of one configuration, trained and judged on the same targets one after the other, with table and page.

``--set`` is a finished root: the OUT of ``make own-data`` with TARGETS, or a demo in which evaluate-encoder has run. With ``--hidden`` a
tenth of its items is cold and a tenth new, and each run leaves a curve of what its encoder knows. A GPU is used where there is one. What is
finished is skipped and what was stopped goes on; several processes may share the work by their ``--seeds``.
"""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import tyro

from jobs.ablation_paths import pairs_markdown, path_pairs
from jobs.ablation_runs import Ranks, baselines_of, finished_runs, leave_baselines
from jobs.ablation_set import TARGETS, claim, config_of, data_of
from jobs.ablation_table import markdown, tables_of
from jobs.ablation_targets import Targets, arms_judged_on, ranked, read_targets
from jobs.encoder_configuration import configuration, in_words
from jobs.errors import JobError, UsageError
from jobs.held_out_figures import read_catalogue
from jobs.report.write_ablation import write_ablation_page
from jobs.storage_faults import storage_fault
from karma.config import HIGHEST_SEED, PretrainedModelError, TrainingConfig
from karma.evaluation.baselines import baseline_ranks
from karma.manifest import value_digest
from karma.training.arms import ARMS_IN_ORDER, PATHS, READ_IMAGES, Arm, InterestPath, arm_config, path_of
from karma.training.data import TrainingDataError, read_meta
from karma.training.hidden import hide
from karma.training.run import DivergedError
from karma.training.study import run_arm, run_hidden
from schemas import names

log = logging.getLogger("karma.arms")

TABLE, HIDDEN = "table.md", "hidden"


@dataclass(frozen=True, kw_only=True)
class AblateArgs:
    """Train arms of a configuration on the same data, and judge each on the same targets."""

    out: Path
    """Where figures and ranks of each run go, the table, and the page (index.html)."""
    set: Path | None = None
    """Finished root whose held-out training data, targets and configuration are taken."""
    data: Path | None = None
    """Training data folder; default: that of --set."""
    targets: Path | None = None
    """Parquet: user_id, item_id, and where it is known the query typed for it; default: targets.parquet in the data folder."""
    hidden: bool = False
    """Hide items and the ends of the histories, and judge on warm, cold and new items instead of on the targets; every run is judged
    after its last step, whatever validation says."""
    decode: bool = False
    """Let a small decoder of the same size in every run write what it reads in some users' vectors, and measure what the vectors save it;
    in runs that are not finished yet; the log names the others. It adds a constant time a run, some tens of seconds on two cores."""
    config: Path | None = None
    """Training configuration; default: that of the encoder which --set trained on the same data."""
    arms: tuple[Arm, ...] | None = None
    """Default: all that data and paths can train. Objectives beside retrieval: none (action); writing the next item's text after the
    history (generation), from u (reconstruction), both (pair); writing an item's text from its vector (items); all of these (text);
    these with images in the tower (images_read), and as an objective too, by their mean squared error (images) or by diffusion. Weights
    are those of karma/training/arms.py, whatever the configuration says. Differences are to the first of them in this order."""
    paths: tuple[InterestPath, ...] | None = None
    """Ways to the vectors; default: the configuration's own. Recency pool and language model with a part of the vector each (blocks; half
    and half where the configuration says nothing else); the model's state added to the pool's vector (pool+lm); the pool alone (text and
    images then go without generation); the state alone (state). To show forgetting: the state alone over items of nothing but content
    that learns (lm), and with the collaborative part (lm+id)."""
    against: InterestPath | None = None
    """Path that the others are held against, arm by arm; default: the pool where it was run, else the first."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """A run each."""
    backbone: str | None = None
    """Folder or hub id of a pretrained causal LM; default: the configuration's."""
    rate_backbone: float | None = None
    """Factor on its learning rate; default: the configuration's."""
    final_rate: float | None = None
    """Factor on the learning rates at the end; 1 keeps them constant. Default: the configuration's."""
    steps: int | None = None
    """Default: the configuration's."""
    validate_every: int | None = None
    """Default: the configuration's."""
    patience: int | None = None
    """Default: the configuration's. With --hidden nothing ends a run early."""


def changes(args: AblateArgs, base: TrainingConfig) -> dict[str, Any]:
    """What the arguments change in every arm."""
    own = {name: getattr(args, name) for name in ("steps", "rate_backbone", "final_rate", "validate_every", "patience")}
    told: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
    if args.backbone is not None:
        of_another = {"revision": None, "keep_layers": None, "warm_up_steps": None}  # what was said of the configuration's own model
        told["backbone"] = {**base.backbone.model_dump(), **of_another, "source": args.backbone}
    judged_not_stopped = {**base.guard.model_dump(), "on": False}  # an arm that collapses is a finding here
    equal_steps = {"choose": "last"} if args.hidden else {}  # what action forgets and others keep depends on the step
    return {"protocol": "leave_last_out", **told, **equal_steps, "max_seconds": None, "guard": judged_not_stopped}


def changed(args: AblateArgs, base: TrainingConfig) -> TrainingConfig:
    """The configuration that arms, paths and seeds start from. Raises UsageError."""
    try:
        return TrainingConfig.model_validate({**base.model_dump(), **changes(args, base)})
    except ValueError as error:
        raise UsageError("NOT_A_CONFIG", "the options change it to no training configuration", got=in_words(error)) from None


def configurations(args: AblateArgs, base: TrainingConfig, *, images: bool) -> list[TrainingConfig]:
    """One a seed, path and arm; where no --arms are named, all that every path can train, and the log says why another is left out.

    Args:
        images: whether an item of the training data has one; else an arm that reads images would be that of texts by another name.

    Raises UsageError, before anything is trained: an arm that was named cannot be trained.
    """
    usable = [arm for arm in ARMS_IN_ORDER if images or arm not in READ_IMAGES]
    if reading := [arm for arm in args.arms or () if arm not in usable]:
        told = f"of these data --arms may be {' '.join(usable)}"
        raise UsageError("NO_IMAGES", "no item of the training data has an image", column="--arms", got=", ".join(reading), hint=told)
    if not args.seeds or min(args.seeds) < 0 or max(args.seeds) > HIGHEST_SEED:
        got = " ".join(map(str, args.seeds)) or "none"
        expected = f"one or more whole numbers from 0 to {HIGHEST_SEED}"
        raise UsageError("NO_SEEDS", "no seeds of a run", column="--seeds", expected=expected, got=got)
    paths = args.paths or (path_of(base),)
    named = args.arms or _trainable(base, usable, paths)
    if not named:
        raise UsageError(
            "NO_SUCH_ARM", f"no arm can be trained on {' '.join(paths)} of these data", column="--paths", hint="the log says why"
        )
    asked = []
    for seed, path, arm in product(args.seeds, paths, named):
        try:
            asked.append(arm_config(base, arm, path, seed, changes(args, base)))
        except ValueError as error:
            hint = None if PATHS[path]["use_lm"] else "name the --arms: a pool alone has no language model that writes"
            raise UsageError(
                "NO_SUCH_ARM", f"arm {arm} cannot be trained on path {path}: {in_words(error)}", column="--arms", hint=hint
            ) from None
    return asked


def _trainable(base: TrainingConfig, usable: Sequence[Arm], paths: Sequence[InterestPath]) -> tuple[Arm, ...]:
    """The ``usable`` arms that every path can train; the log says which are left out, and why."""
    why = {arm: "no item of the training data has an image" for arm in ARMS_IN_ORDER if arm not in usable}
    why |= {arm: told for arm, path in product(usable, paths) if (told := _why_not(base, arm, path))}
    for arm in why:
        log.info("arm %s is left out: %s", arm, why[arm])
    return tuple(arm for arm in usable if arm not in why)


def _why_not(base: TrainingConfig, arm: Arm, path: InterestPath) -> str | None:
    """Why ``arm`` cannot be trained on ``path``; None where it can."""
    try:
        arm_config(base, arm, path, 0, {})
    except ValueError as error:
        return f"path {path}: {in_words(error)}"
    return None


def sources(args: AblateArgs) -> tuple[Path, TrainingConfig]:
    """Training data folder and base configuration. Raises UsageError."""
    if args.set is None and (args.data is None or args.config is None):
        expected = "--set, or --data and --config"
        raise UsageError("NO_SET", "it is not said what to train on", column="--set", expected=expected, got="neither")
    data = args.data or data_of(args.set or Path())
    if args.config is None:
        return data, config_of(args.set or Path(), data)
    return data, TrainingConfig.load(configuration(args.config))


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is done in the folder.

    Attributes:
        run: runs one configuration.
        asked: digest of what the baselines are asked; empty in a hidden study, which has none.
        baselines: their ranks of the same targets.
    """

    run: Callable[[TrainingConfig], Mapping[str, Any]]
    asked: str = ""
    baselines: Callable[[], Mapping[str, Ranks]] = dict


def targets_of(args: AblateArgs, data: Path) -> Targets | None:
    """The targets; None where items are hidden instead. Raises UsageError."""
    return None if args.hidden else read_targets(args.targets or data / TARGETS)


def task_of(args: AblateArgs, data: Path, base: TrainingConfig, targets: Targets | None) -> Task:
    """The task that ``args`` name; ``targets`` as ``targets_of`` found them."""
    mask_seen = base.softmax.mask_seen
    if targets is None:
        hidden = hide(data, read_catalogue(data), args.out / HIDDEN, repeats=not mask_seen)
        if not hidden.targets:
            raise UsageError(
                "NO_TARGETS", "no history has a target at its hidden end", column="--hidden", expected="users with 3 events or more",
                got=f"{data}: none has an item there that training may know", hint="judge on --targets instead",
            )  # fmt: skip
        pairs = hidden.pairs(mask_seen=mask_seen)
        return Task(run=lambda config: run_hidden(config, hidden.data, pairs, args.out, decode=args.decode))
    held = ranked(data, targets, mask_seen=mask_seen)
    judged = arms_judged_on(held)
    return Task(
        run=lambda config: run_arm(config, data, judged, args.out, decode=args.decode),
        asked=value_digest(read_meta(data).fingerprint, list(held.users), list(held.items), mask_seen),
        baselines=lambda: baseline_ranks(held.for_baselines(mask_seen)),
    )


def body(args: AblateArgs) -> int:
    """Run what is not finished yet; table and page of all that is are written anew after each run. Raises UsageError."""
    data, base = sources(args)
    read_meta(data)  # says what is wrong with a folder that holds no training data
    targets = targets_of(args, data)
    told = changed(args, base)
    asked = configurations(args, base, images=bool(read_catalogue(data).has_visual.any()))
    task = task_of(args, data, base, targets) if targets else None  # what cannot be ranked is refused before the folder is claimed
    claim(args.out, told, data, targets.file if targets else None)
    if args.against and args.against not in {*(args.paths or (path_of(base),)), *finished_runs(args.out)}:
        log.warning("--against %s changes nothing: no run of that path is asked for or finished", args.against)
    task = task or task_of(args, data, base, targets)
    written, (table, page) = finished(args.out), write_results(args.out, task.asked, args.against)
    failed = False
    for config in asked:
        try:
            found = task.run(config)
        except DivergedError as error:  # a finding about this arm; the others go on
            failed = True
            log.error("%s: %s", config.name, error)
            continue
        log.info("%s: %s", config.name, {name: round(value, 4) for name, value in found.items() if "HR@" in name and value is not None})
        new = bool(task.asked) and leave_baselines(args.out, task.asked, task.baselines)
        if new or finished(args.out) != written:
            written, (table, page) = finished(args.out), write_results(args.out, task.asked, args.against)
    sys.stdout.write(f"{table}\npage: {page}\n")
    return names.EXIT_FAILED if failed else names.EXIT_DONE


def finished(out: Path) -> dict[str, int]:
    """When each run of ``out`` left its figures, runs of other processes included."""
    return {path.name: path.stat().st_mtime_ns for path in out.glob("*.json")}


def write_results(out: Path, asked: str, against: str | None) -> tuple[str, Path]:
    """Write table and page of all finished runs in ``out``, beside the baselines' answers to ``asked``, and return both."""
    runs = finished_runs(out)
    tables = tables_of(runs, baselines_of(out, asked))
    pairs = path_pairs(runs, against)
    table = "\n".join(filter(None, [markdown(tables), pairs_markdown(pairs)]))
    (out / TABLE).write_text(table, encoding="utf-8")
    return table, write_ablation_page(out, runs, tables, pairs)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``karma ablate``."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    args = tyro.cli(AblateArgs, args=argv, prog="karma ablate", description=__doc__)
    try:
        return body(args)
    except (JobError, PretrainedModelError, TrainingDataError, OSError) as error:
        told = _told(error, args.out)
        log.error("%s", told)
        return told.exit_code


def _told(error: Exception, out: Path) -> JobError:
    if isinstance(error, JobError):
        return error
    if isinstance(error, PretrainedModelError):
        return JobError("PRETRAINED_MODEL", str(error))
    if isinstance(error, TrainingDataError):
        return JobError("TRAINING_DATA_UNREADABLE", str(error), hint="--data or --set names a folder that training data were written to")
    return storage_fault(error, place=str(out)) or JobError("OUT_UNUSABLE", "a file cannot be read or written", got=error, column="--out")


if __name__ == "__main__":
    sys.exit(main())
