"""Runs of a comparison: train one arm, judge it, keep its figures and its ranks, and never do it twice."""

import fcntl
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from karma.artefact import artefact_digest, export_encoder, load_encoder
from karma.config import TrainingConfig
from karma.evaluation.evaluate import Catalogue, Evaluation, History, Vectors, evaluate_targets
from karma.evaluation.knowledge import COLD, NEW, Pairs, judge
from karma.manifest import value_digest
from karma.precision import training_device, wants_bf16
from karma.serving import ServingEncoder
from karma.text import render_item
from karma.training.data import Meta, read_meta
from karma.training.kept import Arrays, Asked, decoded, keep_untrained, kept_of, read_arrays, untrained_of
from karma.training.run import Run
from karma.training.title_nats import title_nats
from karma.training.trainer import provenance, train, version_of

log = logging.getLogger("karma.arms")

CURVE = "curve.jsonl"

JUDGE_VERSION = 6
"""Raised with any change of what a finished run holds or of how it is measured: older runs are then done again, in another folder
(``jobs/ablation_set.py``)."""


@dataclass(frozen=True, kw_only=True)
class AskedTargets:
    """What every arm is judged on: one target a history.

    Attributes:
        cold: bool [n], True where no training history holds the target.
        with_query: bool [n], True where a query was typed for the target; None where that is not known.
    """

    catalogue: Catalogue
    histories: Sequence[History]
    targets: Sequence[str]
    cold: npt.NDArray[np.bool_]
    with_query: npt.NDArray[np.bool_] | None = None

    @property
    def asked(self) -> Asked:
        place = {item: row for row, item in enumerate(self.catalogue.item_ids)}
        return Asked(
            catalogue=self.catalogue, histories=self.histories, targets=np.array([place[item] for item in self.targets], np.int64),
            users=np.arange(len(self.targets)), cold=self.cold, new=np.zeros(len(self.targets), bool),
            with_query=self.with_query,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class JudgedRun:
    """An arm's figures and arrays; its ranks int64 [n] once more, and the float32 vectors of n interests and m items."""

    figures: dict[str, Any]
    arrays: Arrays
    ranks: npt.NDArray[np.int64]
    interests: Vectors
    items: Vectors


@dataclass(frozen=True, kw_only=True)
class Study:
    """How runs of one comparison are judged.

    Attributes:
        asked: what is asked of every arm.
        judged: figures and arrays of a trained encoder; the folder is that of the run's work.
        observe: called after each validation with the encoder as it then is.
        decode: whether a probe writes titles from the interests, in some tens of seconds a run.
    """

    asked: Asked
    judged: Callable[[ServingEncoder, Path], JudgedRun]
    observe: Callable[[int, Run, ServingEncoder, Path], None] | None = None
    decode: bool = False


def run_arm(config: TrainingConfig, data: Path, held_out: AskedTargets, out: Path, *, decode: bool = False) -> Mapping[str, Any]:
    """Train ``config`` on ``data`` and judge it on ``held_out``; items seen are masked where no repeat is a target.

    Writes ``out/<name>.npz`` (ranks, and what ``kept_of`` keeps) and then ``out/<name>.json`` (figures); a run whose figures are there
    is not trained again, unless they are of another configuration, other data or other targets. The artefact is removed: a pretrained
    backbone's is half a gigabyte.
    """

    def judged(encoder: ServingEncoder, _: Path) -> JudgedRun:
        mask_seen = config.softmax.mask_seen
        found = evaluate_targets(encoder, held_out.catalogue, held_out.histories, held_out.targets, mask_seen=mask_seen)
        vectors = {"interests": found.interest_vectors, "items": found.item_vectors}
        return JudgedRun(figures=_figures(found), arrays={"ranks": found.ranks}, ranks=found.ranks, **vectors)

    return _once(config, data, out, list(held_out.targets), Study(asked=held_out.asked, judged=judged, decode=decode))


def run_hidden(config: TrainingConfig, data: Path, pairs: Pairs, out: Path, *, decode: bool = False) -> Mapping[str, Any]:
    """Train ``config`` on ``data``, without the hidden items, and judge it on ``pairs`` after each validation, a row of ``curve`` each.

    Writes and skips as ``run_arm`` does; the ranks are those of the chosen checkpoint.
    """
    new = [render_item(pairs.catalogue.titles[row], pairs.catalogue.categories[row]) for row in np.flatnonzero(pairs.kinds == NEW).tolist()]

    def observe(step: int, run: Run, encoder: ServingEncoder, work: Path) -> None:
        row = {"step": step, **judge(encoder, pairs).figures, "title_nats": title_nats(run, new)}
        with (work / CURVE).open("a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps(row)}\n")  # on a line of its own, whatever a stopped run left

    def judged(encoder: ServingEncoder, work: Path) -> JudgedRun:
        found = judge(encoder, pairs)
        arrays = {
            "own_kind": found.own_kind, "equal_share": found.equal_share, "title_found": found.title_found,
            "kind": pairs.kinds[pairs.targets], "user": pairs.users,
        }  # fmt: skip
        curve = _curve(work / CURVE)
        best = encoder.manifest.metrics["step"]
        nats = next((row["title_nats"] for row in curve if row["step"] == best), float("nan"))
        asked = {"n": len(pairs.targets), "shared_top": pairs.top, "decoys": pairs.decoys}
        figures = {**found.figures, "title_nats": nats, **asked, "curve": curve}
        vectors = {"interests": found.interest_vectors, "items": found.item_vectors}
        return JudgedRun(figures=figures, arrays=arrays, ranks=found.own_kind, **vectors)

    kind = pairs.kinds[pairs.targets]
    asked = Asked(
        catalogue=pairs.catalogue, histories=pairs.histories, targets=pairs.targets, users=pairs.users, cold=kind == COLD, new=kind == NEW
    )
    return _once(config, data, out, pairs.targets.tolist(), Study(asked=asked, judged=judged, observe=observe, decode=decode))


def _curve(path: Path) -> list[dict[str, float]]:
    """A row a step, ascending; a run that was stopped may have left two, or a torn one: then its step was taken and measured again."""
    rows: dict[int, dict[str, float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        with suppress(json.JSONDecodeError):
            row = json.loads(line)
            rows[row["step"]] = row
    return [rows[step] for step in sorted(rows)]


def left_by(figures: Path) -> tuple[Mapping[str, Any], Arrays] | None:
    """Figures and arrays of the finished run that left the file ``figures``, and one of arrays beside it.

    None where there is none, or one of them cannot be read, which the log then says: asked for again, the run is done again.
    """
    if not figures.is_file():
        return None
    try:
        told, arrays = json.loads(figures.read_text(encoding="utf-8")), read_arrays(figures.with_suffix(".npz"))
    except ValueError:
        told, arrays = None, None
    if arrays is None or not _are_figures(told):
        log.warning("%s, or the arrays beside it, cannot be read: this run counts as not finished", figures)
        return None
    return told, arrays


def _are_figures(told: object) -> bool:
    """Whether what every run tells at its top is numbers, and what is made of them; of words only the digest of what it was made of."""
    if not isinstance(told, dict) or not isinstance(told.get("n"), int):
        return False
    return not any(isinstance(value, str) for name, value in told.items() if name != "made_of")


def _once(config: TrainingConfig, data: Path, out: Path, targets: list[Any], study: Study) -> Mapping[str, Any]:
    """The figures of a finished run, or those of one that is made now; another process that asks for the same waits, and finds it."""
    with _alone(out / f".{config.name}.lock"):
        return _finished_or_made(config, data, out, targets, study)


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """While one process of this machine is inside, others wait; a killed one is inside no more."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: another process is at it; waiting", file.stem.removeprefix("."))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _finished_or_made(config: TrainingConfig, data: Path, out: Path, targets: list[Any], study: Study) -> Mapping[str, Any]:
    figures, meta = out / f"{config.name}.json", read_meta(data)
    version = version_of(config, meta)
    made_of = value_digest(JUDGE_VERSION, version, targets)
    left = left_by(figures)
    if left is not None and left[0].get("made_of") == made_of:
        if study.decode and "decoded" not in left[0]:
            log.info("%s is finished, and nothing is decoded: its encoder is gone; without %s it is trained again", config.name, figures)
        return left[0]
    work = out / f".{version}"  # what an interrupted run left here is gone on from
    for other in out.glob(f".{config.name}-*"):
        if other != work:
            shutil.rmtree(other)

    def observer(step: int, run: Run) -> None:
        if study.observe is None and (step or run.learner.model.interest.residual is None):
            return
        with _as_served(run, meta, work / "steps" / str(step)) as encoder:
            if not step:
                keep_untrained(encoder, study.asked, work)
            if study.observe is not None:
                study.observe(step, run, encoder, work)

    encoder = _loaded(train(config, data, work / "encoders", progress=False, observer=observer), config)
    judged = study.judged(encoder, work)
    told, more = decoded(encoder, judged.interests, judged.items, judged.ranks, study.asked) if study.decode else ({}, {})
    kept = kept_of(encoder, judged.interests, judged.items, study.asked)
    _leave_arrays(out / f"{config.name}.npz", {**judged.arrays, **kept, **untrained_of(work), **more})
    facts = {"made_of": made_of, **judged.figures, **told, "training": dict(encoder.manifest.metrics), "log": _log_of(work)}
    draft = figures.with_suffix(".draft")
    draft.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, figures)
    shutil.rmtree(work)
    return facts


@contextmanager
def _as_served(run: Run, meta: Meta, folder: Path) -> Iterator[ServingEncoder]:
    """The encoder that learns as it is now, exported to ``folder`` and loaded from there; the folder is removed afterwards."""
    run.keep_anchors()
    made = provenance(run.config.name, run.config, meta, {})
    export_encoder(folder, run.learner.model, run.start.tokenizer, run.start.item_ids, made)
    yield _loaded(folder, run.config)
    shutil.rmtree(folder)


def _leave_arrays(path: Path, arrays: Arrays) -> None:
    """Whole or not at all: another process may be reading."""
    draft = path.with_suffix(".npz.draft")
    with draft.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    os.replace(draft, path)


def _loaded(folder: Path, config: TrainingConfig) -> ServingEncoder:
    """A pretrained language model computes as in training: in float32 it takes minutes for some thousand histories. All else in float32."""
    device = training_device()
    bf16 = config.backbone.source is not None and config.encoder.use_lm and wants_bf16(config.precision, device)
    return load_encoder(folder, artefact_digest(folder), bf16=bf16, device=device.type)


def _figures(judged: Evaluation) -> dict[str, Any]:
    rates = {f"HR@{k}": rate for k, rate in judged.hit_rates.items()}
    clouds = {"interests": judged.users, "items": judged.items}
    shapes = {name: {"effective_rank": cloud.effective_rank, "mean_cosine": cloud.mean_cosine} for name, cloud in clouds.items() if cloud}
    return {"n": len(judged.ranks), "corpus": judged.corpus_size, **rates, "shape": shapes}


def _log_of(work: Path) -> list[dict[str, float]]:
    (log,) = (work / "training").glob("*/log.jsonl")
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
