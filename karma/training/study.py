"""Runs of a comparison: train one arm, judge it, keep its figures and its ranks, and never do it twice."""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from karma.artefact import artefact_digest, export_encoder, load_encoder
from karma.config import TrainingConfig
from karma.evaluation.evaluate import Catalogue, Evaluation, History, evaluate_targets
from karma.evaluation.knowledge import Pairs, judge
from karma.manifest import value_digest
from karma.precision import training_device
from karma.serving import ServingEncoder
from karma.text import render_item
from karma.training.data import read_meta
from karma.training.run import Run
from karma.training.texts import texts_of
from karma.training.trainer import provenance, train, version_of

Ranks = Mapping[str, npt.NDArray[Any]]
CURVE = "curve.jsonl"
_TEXTS_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What every arm is judged on: one target a history."""

    catalogue: Catalogue
    histories: Sequence[History]
    targets: Sequence[str]


def run_arm(config: TrainingConfig, data: Path, held_out: HeldOut, out: Path) -> Mapping[str, Any]:
    """Train ``config`` on ``data`` and judge it on ``held_out``; items seen are masked where no repeat is a target.

    Writes ``out/<name>.npz`` (ranks) and then ``out/<name>.json`` (figures); a run whose figures are there is not trained again, unless
    they are of another configuration, other data or other targets. The artefact is removed: a pretrained backbone's is half a gigabyte.
    """

    def judged(encoder: ServingEncoder) -> tuple[dict[str, Any], Ranks]:
        mask_seen = not config.softmax.repeats
        found = evaluate_targets(encoder, held_out.catalogue, held_out.histories, held_out.targets, mask_seen=mask_seen)
        return _figures(found), {"ranks": found.ranks}

    return _once(config, data, out, list(held_out.targets), judged)


def run_hidden(config: TrainingConfig, data: Path, pairs: Pairs, out: Path) -> Mapping[str, Any]:
    """Train ``config`` on ``data``, without the hidden items, and judge it on ``pairs`` after each validation, a row of ``curve`` each.

    Writes and skips as ``run_arm`` does; the ranks are those of the checkpoint that validation chose.
    """
    work = out / f".{config.name}"

    def observe(step: int, run: Run) -> None:
        folder = work / "steps" / str(step)
        made = provenance(config.name, config, read_meta(data), {})
        export_encoder(folder, run.learner.model, run.start.tokenizer, run.start.item_ids, made)
        row = {"step": step, **judge(_loaded(folder), pairs).figures, "title_nats": title_nats(run, _hidden_titles(pairs))}
        shutil.rmtree(folder)
        with (work / CURVE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def judged(encoder: ServingEncoder) -> tuple[dict[str, Any], Ranks]:
        found = judge(encoder, pairs)
        ranks = {
            "own_kind": found.own_kind, "equal_share": found.equal_share, "title_found": found.title_found,
            "kind": pairs.kinds[pairs.targets], "user": pairs.users,
        }  # fmt: skip
        curve = _curve(work / CURVE)
        best = encoder.manifest.metrics["step"]
        nats = next((row["title_nats"] for row in curve if row["step"] == best), float("nan"))  # the untrained one has no row
        return {**found.figures, "title_nats": nats, "n": len(pairs.targets), "curve": curve}, ranks

    return _once(config, data, out, pairs.targets.tolist(), judged, observe)


def _curve(path: Path) -> list[dict[str, float]]:
    """A row a step, ascending; a run that was stopped may have left two."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = {row["step"]: row for row in map(json.loads, lines)}
    return [rows[step] for step in sorted(rows)]


def _once(
    config: TrainingConfig, data: Path, out: Path, targets: list[Any],
    judged: Callable[[ServingEncoder], tuple[dict[str, Any], Ranks]], observer: Callable[[int, Run], None] | None = None,
) -> Mapping[str, Any]:  # fmt: skip
    figures, made_of = out / f"{config.name}.json", value_digest(version_of(config, read_meta(data)), targets)
    if figures.is_file():
        found: Mapping[str, Any] = json.loads(figures.read_text())
        if found["made_of"] == made_of:
            return found
    work = out / f".{config.name}"  # what an interrupted run left here is gone on from
    encoder = _loaded(train(config, data, work / "encoders", progress=False, observer=observer))
    told, ranks = judged(encoder)
    np.savez_compressed(out / f"{config.name}.npz", allow_pickle=False, **ranks)
    draft = figures.with_suffix(".draft")
    facts = {"made_of": made_of, **told, "training": dict(encoder.manifest.metrics), "log": _log_of(work)}
    draft.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, figures)
    shutil.rmtree(work)
    return facts


def _loaded(folder: Path) -> ServingEncoder:
    return load_encoder(folder, artefact_digest(folder), device=training_device().type)


def _figures(judged: Evaluation) -> dict[str, Any]:
    rates = {f"HR@{k}": rate for k, rate in judged.hit_rates.items()}
    clouds = {"interests": judged.users, "items": judged.items}
    shapes = {name: {"effective_rank": cloud.effective_rank, "mean_cosine": cloud.mean_cosine} for name, cloud in clouds.items() if cloud}
    return {"n": len(judged.ranks), "corpus": judged.corpus_size, **rates, "shape": shapes}


def _log_of(work: Path) -> list[dict[str, float]]:
    log = max((work / "training").glob("*/log.jsonl"), key=os.path.getmtime)  # another configuration's may have been left there
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def _hidden_titles(pairs: Pairs) -> list[str]:
    rows = np.flatnonzero(pairs.kinds > 0).tolist()
    return [render_item(pairs.catalogue.titles[row], pairs.catalogue.categories[row]) for row in rows]


@torch.inference_mode()
def title_nats(run: Run, titles: Sequence[str]) -> float:
    """Nats a token of the language model on titles, by the head that generation trains, or else the one it started from; lower is better.

    Tokens that the head cannot write (it is trimmed to the catalogue's) do not count. NaN where the encoder has no language model, or
    another model than it reads the texts.
    """
    model, head, known = run.learner.model, run.learner.decoders.lm_head, run.learner.tensors.texts
    if model.backbone.model is None or model.text_encoder is not None:
        return float("nan")
    weight = run.start.lm_head.to(run.learner.device) if head is None else head.weight
    texts = texts_of(run.start.tokenizer, list(titles), run.config.encoder.max_tokens).to(run.learner.device)
    writable = torch.isin(torch.arange(model.backbone.embeddings.num_embeddings), known.written_tokens())
    model.eval()
    total = tokens = 0.0
    for places in torch.arange(len(titles)).split(_TEXTS_AT_ONCE):
        read, write, real = texts.written(places)
        real &= writable[write] | (known.head_rows is None)
        rows = write if known.head_rows is None else known.head_rows[write]
        states = model.backbone(model.backbone.embeddings(read))
        nats = torch.nn.functional.cross_entropy((states[real] @ weight.T).float(), rows[real], reduction="sum")
        total, tokens = total + nats.item(), tokens + int(real.sum())
    model.train()
    return total / max(1, tokens)
