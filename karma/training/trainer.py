"""Training: examples, steps, the choice of the best checkpoint, and the artefact."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from karma.artefact import ArtefactError, Provenance, export_encoder, verify
from karma.config import TrainingConfig
from karma.manifest import ENCODER_CODE_VERSION, file_digest, value_digest
from karma.model.decoders import Decoders
from karma.objectives.action import Temperature
from karma.precision import wants_bf16
from karma.text import RENDERER_VERSION
from karma.training.batches import BatchSampler
from karma.training.checkpoint import save_state
from karma.training.data import Meta, TrainingData, TrainingDataError, read_meta, read_training_data
from karma.training.examples import NO_TARGET, Split, split
from karma.training.losses import Learner, popularity_of
from karma.training.start import Start, start
from karma.training.validation import Validation

log = logging.getLogger("karma.training")

TRAINER_VERSION = "1"
FINAL_RATE = 0.05
CHOSEN_BY = "ndcg"


def version_of(config: TrainingConfig, meta: Meta) -> str:
    """``<name>-<12 hex digits>`` of the data's fingerprint, the configuration, the backbone's files and the code's versions."""
    code = (ENCODER_CODE_VERSION, RENDERER_VERSION, TRAINER_VERSION)
    digest = value_digest(meta.model_dump(mode="json"), config.model_dump(mode="json"), _backbone_files(config), *code)
    return f"{config.name}-{digest[:12]}"


def _backbone_files(config: TrainingConfig) -> dict[str, str]:
    """sha256 of each file of a backbone that is a folder, so that its content counts and not only its path."""
    folder = Path(config.backbone.source) if config.backbone.source else None
    if folder is None or not folder.is_dir():
        return {}
    return {path.name: file_digest(path) for path in sorted(folder.iterdir()) if path.is_file()}


def train(config: TrainingConfig, data: Path, out: Path, *, state: Path | None = None, progress: bool = True) -> Path:
    """Train an encoder, or find the one that the same data and configuration gave.

    Args:
        data: training data folder (``karma.training.data``).
        out: the artefact is written to ``out/<version>/``.
        state: decoders, optimiser state and the log go to ``state/<version>/``; by default beside ``out``, in ``training/``.
        progress: show progress bars.

    Returns: the artefact's folder.

    Raises:
        TrainingDataError: the data cannot be read, or no user has two targets.
    """
    version = version_of(config, read_meta(data))
    folder = Path(out) / version
    if _is_there(folder):
        log.info("%s exists: nothing to train", folder)
        return folder
    read = read_training_data(data, config.encoder.event_types)
    with _threads(config.threads):
        run = Run.of(config, read, progress=progress)
        metrics = run.fit(progress=progress)
    export_encoder(folder, run.start.model, run.start.tokenizer, run.start.item_ids, _provenance(version, config, read.meta, metrics))
    save_state((state or Path(out).parent / "training") / version, run.learner, run.optimiser, run.log)
    log.info("%s: %s", folder, metrics)
    return folder


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _is_there(folder: Path) -> bool:
    try:
        verify(folder)
    except ArtefactError as error:
        if folder.exists():
            log.warning("trained again: %s", error)
        return False
    return True


def _provenance(version: str, config: TrainingConfig, meta: Meta, metrics: dict[str, float]) -> Provenance:
    reads_images = config.encoder.use_visual
    return Provenance(
        version=version,
        trained_until=meta.trained_until.isoformat(),
        protocol=config.protocol,
        vision_spec=meta.vision_spec if reads_images else "",
        vision_digest=meta.vision_digest if reads_images else "",
        metrics=metrics,
        training_tables=meta.tables,
        training=config.model_dump(mode="json"),
    )


@dataclass(kw_only=True)
class Run:
    """One training run: what learns, on which batches, judged how."""

    config: TrainingConfig
    start: Start
    learner: Learner
    sampler: BatchSampler
    validation: Validation
    optimiser: torch.optim.Optimizer
    log: list[dict[str, float]] = field(default_factory=list)

    @classmethod
    def of(cls, config: TrainingConfig, data: TrainingData, *, progress: bool) -> "Run":
        """Seed everything and build the run. Raises TrainingDataError where nothing can be learnt."""
        torch.manual_seed(config.seed)
        examples = split(
            data.histories, strict=config.ties == "strict", repeats=config.softmax.repeats, share=config.held_out_users, seed=config.seed
        )
        sampler = BatchSampler(data.histories, examples, config, len(data.catalogue))
        if not sampler.examples:
            raise TrainingDataError("no user has two item events at different times: there is nothing to learn the next item from")
        made = start(data, examples, config, progress=progress)
        learner = _learner(config, data, examples, made)
        return cls(
            config=config,
            start=made,
            learner=learner,
            sampler=sampler,
            validation=Validation(histories=data.histories, split=examples, tensors=made.tensors, mask_seen=not config.softmax.repeats),
            optimiser=torch.optim.AdamW(parameter_groups(learner), lr=config.learning_rate, betas=(0.9, 0.98), fused=True),
        )

    def fit(self, *, progress: bool) -> dict[str, float]:
        """Train, then restore the best checkpoint. Returns its validation metrics, and those of popularity."""
        config, learner = self.config, self.learner
        schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, lambda step: rate_at(step, config.learning_warm_up, config.steps))
        best = Best(self.validation.measure(learner.model), 0, _snapshot(learner))
        began = time.monotonic()
        learner.model.train()
        steps = tqdm(range(1, config.steps + 1), desc=f"training {config.name}", disable=not progress)
        for step in steps:
            losses = self._step(step)
            schedule.step()
            if step % config.validate_every == 0 or step == config.steps:
                found = self.validation.measure(learner.model)
                self.log.append({"step": step, "seconds": time.monotonic() - began, **losses, **found})
                log.info("step %d: %s", step, {name: round(value, 4) for name, value in self.log[-1].items()})
                steps.set_postfix({"action": f"{losses['action']:.2f}", CHOSEN_BY: f"{found[CHOSEN_BY]:.4f}"})
                if found[CHOSEN_BY] > best.metrics[CHOSEN_BY]:
                    best = Best(found, step, _snapshot(learner))
                if step - best.step >= config.patience * config.validate_every:
                    break
            if config.max_seconds is not None and time.monotonic() - began > config.max_seconds:
                log.warning("stopped after %d steps: max_seconds is over", step)
                break
        _restore(learner, best.weights)
        popular = self.validation.popularity(learner.popularity.numpy())
        return {
            **best.metrics, **{f"popularity_{name}": value for name, value in popular.items()},
            "step": best.step, "held_out_users": len(self.validation.split.held_out), "examples": self.sampler.examples,
        }  # fmt: skip

    def _step(self, step: int) -> dict[str, float]:
        """One optimiser step. Returns the unweighted losses."""
        learner, config = self.learner, self.config
        bf16 = torch.autocast("cpu", dtype=torch.bfloat16, enabled=wants_bf16(config.precision))
        with bf16, sdpa_kernel(SDPBackend.MATH):  # on a CPU the gradient of the fused kernel would be the slowest part of a step
            losses = learner.losses(self.sampler.draw())
        ramp = min(1.0, step / max(1, config.objectives.ramp_steps))
        weighted = [getattr(config.objectives, name) * (1.0 if name == "action" else ramp) * loss for name, loss in losses.items()]
        self.optimiser.zero_grad()
        torch.stack(weighted).sum().backward()
        for part in (learner.model, learner.decoders):
            if parameters := list(part.parameters()):
                nn.utils.clip_grad_norm_(parameters, config.clip)
        self.optimiser.step()
        return {name: loss.item() for name, loss in losses.items()}


@dataclass(frozen=True)
class Best:
    metrics: dict[str, float]
    step: int
    weights: list[dict[str, Tensor]]


def _learner(config: TrainingConfig, data: TrainingData, examples: Split, made: Start) -> Learner:
    targets = data.histories.items[examples.targets[examples.targets != NO_TARGET]]
    components = made.tensors.components.shape[1] if data.catalogue.has_visual.any() else 0
    return Learner(
        model=made.model,
        decoders=Decoders(config.objectives, dim=config.encoder.dim, lm_head=made.lm_head, components=components),
        temperature=Temperature(config.softmax.temperature),
        tensors=made.tensors,
        popularity=popularity_of(targets, len(data.catalogue)),
        config=config,
        generator=torch.Generator().manual_seed(config.seed),
    )


def rate_at(step: int, warm_up: int, steps: int) -> float:
    """Factor on the learning rate: linear from 0 over the warm-up, then a half cosine down to FINAL_RATE."""
    if step < warm_up:
        return (step + 1) / warm_up
    done = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * done))


def parameter_groups(learner: Learner) -> list[dict[str, object]]:
    """One group a learning rate and decay: only matrices that map vectors decay, never tables, kernels, gates or norms."""
    config = learner.config
    matrices = {id(module.weight) for part in _parts(learner) for module in part.modules() if isinstance(module, nn.Linear)}
    factors = {
        "tower.collaborative.": config.rate_collaborative,
        "interest.residual.": config.rate_residual,
        "backbone.": config.rate_backbone,
    }
    if learner.model.interest.pool is None:
        factors.pop("interest.residual.")  # then it is no residual, but the only path
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for part in _parts(learner):
        for name, parameter in part.named_parameters():
            factor = next((value for prefix, value in factors.items() if part is learner.model and name.startswith(prefix)), 1.0)
            decay = config.weight_decay if id(parameter) in matrices else 0.0
            groups.setdefault((factor, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": config.learning_rate * factor, "weight_decay": decay} for (factor, decay), parameters in groups.items()
    ]


def _parts(learner: Learner) -> tuple[nn.Module, ...]:
    return learner.model, learner.decoders, learner.temperature


def _snapshot(learner: Learner) -> list[dict[str, Tensor]]:
    return [{name: tensor.detach().clone() for name, tensor in part.state_dict().items()} for part in _parts(learner)]


def _restore(learner: Learner, weights: list[dict[str, Tensor]]) -> None:
    for part, state in zip(_parts(learner), weights, strict=True):
        part.load_state_dict(state)
