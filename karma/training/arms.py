"""Arms of a comparison: what each changes in one base configuration, and what one run of it gives.

The KARMA arms differ in their objectives and in what is shown to them; a path says which ways lead to the interest vector. A run leaves
its figures and its vectors, so that probes of what the vectors still know need no second training.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from karma.artefact import load_encoder
from karma.config import TrainingConfig
from karma.evaluation.evaluate import Catalogue, Evaluation, History, evaluate_targets
from karma.manifest import artefact_digest, value_digest
from karma.precision import training_device
from karma.training.data import read_meta
from karma.training.trainer import train, version_of

_TEXT = {"generation": 0.05, "reconstruct_interest": 0.05, "reconstruct_item": 0.1}

Arm = Literal["action", "text", "images"]
InterestPath = Literal["pool+lm", "lm"]
ARMS_IN_ORDER: tuple[Arm, ...] = get_args(Arm)
PATHS_IN_ORDER: tuple[InterestPath, ...] = get_args(InterestPath)

ARMS: Mapping[Arm, Mapping[str, Mapping[str, Any]]] = {
    "action": {"objectives": dict.fromkeys((*_TEXT, "visual"), 0.0), "encoder": {"use_visual": False}},
    "text": {"objectives": {**_TEXT, "visual": 0.0}, "encoder": {"use_visual": False}},
    "images": {"objectives": {**_TEXT, "visual": 0.05}, "encoder": {"use_visual": True}},
}
"""Action only; with the knowledge objectives on text (KARMA, arXiv 2603.22779, i and ii, and on the item vectors); with images too."""

PATHS: Mapping[InterestPath, Mapping[str, bool]] = {
    "pool+lm": {"use_pool": True, "use_lm": True, "use_collaborative": True},
    "lm": {"use_pool": False, "use_lm": True, "use_collaborative": False},
}
"""All that is served by default; the language model's state alone over items of content alone, where forgetting shows."""


def arm_config(base: TrainingConfig, arm: Arm, path: InterestPath, seed: int, changes: Mapping[str, Any]) -> TrainingConfig:
    """``base`` as ``arm`` and ``path`` change it. ``changes`` are top-level fields and win."""
    told = base.model_dump()
    told["objectives"].update(ARMS[arm]["objectives"])
    told["encoder"].update({**ARMS[arm]["encoder"], **PATHS[path]})
    return TrainingConfig.model_validate({**told, "name": f"{base.name}-{path}-{arm}-{seed}", "seed": seed, **changes})


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What every arm is judged on: one target a history."""

    catalogue: Catalogue
    histories: Sequence[History]
    targets: Sequence[str]


def run_arm(config: TrainingConfig, data: Path, held_out: HeldOut, out: Path) -> Mapping[str, Any]:
    """Train ``config`` on ``data`` and judge it on ``held_out``; items seen are masked where no repeat is a target.

    Writes ``out/<name>.npz`` (vectors as float16, ranks) and then ``out/<name>.json`` (figures); a run whose figures are there is not
    trained again, unless they are of another configuration, other data or other targets. The artefact is removed: a pretrained
    backbone's is half a gigabyte.
    """
    figures, made_of = out / f"{config.name}.json", value_digest(version_of(config, read_meta(data)), list(held_out.targets))
    if figures.is_file():
        found: Mapping[str, Any] = json.loads(figures.read_text())
        if found["made_of"] == made_of:
            return found
    work = out / f".{config.name}"
    shutil.rmtree(work, ignore_errors=True)  # of a run that was interrupted
    folder = train(config, data, work / "encoders", progress=False)
    encoder = load_encoder(folder, artefact_digest(folder), device=training_device().type)
    judged = evaluate_targets(encoder, held_out.catalogue, held_out.histories, held_out.targets, mask_seen=not config.softmax.repeats)
    np.savez_compressed(
        out / f"{config.name}.npz",
        interests=judged.interest_vectors.astype(np.float16),
        items=judged.item_vectors.astype(np.float16),
        ranks=judged.ranks,
    )
    told = {"made_of": made_of, **_figures(judged), "training": dict(encoder.manifest.metrics), "log": _log_of(work)}
    draft = figures.with_suffix(".draft")
    draft.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, figures)
    shutil.rmtree(work)
    return told


def _figures(judged: Evaluation) -> dict[str, Any]:
    rates = {f"HR@{k}": rate for k, rate in judged.hit_rates.items()}
    clouds = {"interests": judged.users, "items": judged.items}
    shapes = {name: {"effective_rank": cloud.effective_rank, "mean_cosine": cloud.mean_cosine} for name, cloud in clouds.items() if cloud}
    return {"n": len(judged.ranks), "corpus": judged.corpus_size, **rates, "shape": shapes}


def _log_of(work: Path) -> list[dict[str, float]]:
    (log,) = (work / "training").glob("*/log.jsonl")
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
